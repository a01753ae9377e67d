#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plan/value_rules.hpp"

namespace resnet {

/// A step's time from its entry's paper model or from the table of measured ones.
struct StepTime {
  double us = 0;
  bool measured = false;
};

/// An entry with descriptors for its operands, as it answered them; or why it does not take the problem.
struct Offer {
  std::string refusal;  ///< empty when the entry takes the problem
  StepProblem problem;  ///< descriptors that the entry wants and produces
  double estimate_us = 0;
  bool measured = false;
};

/// A set of nodes that an entry would cover.
struct Candidate {
  const Implementation* implementation = nullptr;
  std::vector<NodeId> nodes;  ///< ascending
  std::string refusal;        ///< why it is out whatever the others choose, or empty
  StepProblem problem;        ///< canonical descriptors
};

/// All entries' answers for one graph, asked once each.
class CandidateTable {
 public:
  CandidateTable(const Graph& graph, const std::vector<Dims>& shapes,
                 std::span<const Implementation* const> implementations, const Implementation* conversion,
                 const DeviceInfo& device, const PlanOptions& options);

  const Graph& graph() const { return graph_; }
  const std::vector<Dims>& shapes() const { return shapes_; }
  const ValueRules& rules() const { return rules_; }
  const Implementation* conversion() const { return conversion_; }
  /// Candidates whose lowest node is `node`, in the order of the backend's list.
  std::span<const Candidate> at(NodeId node) const { return candidates_[static_cast<std::size_t>(node)]; }

  /// The candidate's answer when its inputs come in these forms.
  const Offer& offer(const Candidate& candidate, const std::vector<ValueDesc>& inputs);
  StepProblem conversion_problem(NodeId value, const ValueDesc& from, const ValueDesc& to) const;
  /// Time of a change of form, or nothing when the backend has none for this pair.
  std::optional<StepTime> conversion_time(NodeId value, const ValueDesc& from, const ValueDesc& to);

 private:
  Candidate make_candidate(const Implementation& implementation, std::vector<NodeId> nodes) const;
  Offer make_offer(const Candidate& candidate, const std::vector<ValueDesc>& inputs) const;
  std::string refused(const Implementation& implementation, const StepProblem& problem) const;
  std::string refuse_aliases(const Implementation& implementation, const StepProblem& problem) const;
  void apply_force();
  StepTime time(const Implementation& implementation, const StepProblem& problem) const;

  struct ConversionTime {
    ValueDesc from, to;
    std::optional<StepTime> time;
  };

  const Graph& graph_;
  const std::vector<Dims>& shapes_;
  const Implementation* conversion_;
  const DeviceInfo& device_;
  const PlanOptions& options_;
  ValueRules rules_;
  std::vector<std::vector<Candidate>> candidates_;
  std::map<const Candidate*, std::vector<std::pair<std::vector<ValueDesc>, std::unique_ptr<Offer>>>> offers_;
  std::map<NodeId, std::vector<ConversionTime>> conversions_;
};

}  // namespace resnet
