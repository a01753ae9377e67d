#include "plan/candidates.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/check.hpp"

namespace resnet {
namespace {

void check_match(const Implementation& implementation, const std::vector<NodeId>& nodes, NodeId first,
                 const Graph& graph) {
  const bool ascending =
      std::is_sorted(nodes.begin(), nodes.end()) && std::adjacent_find(nodes.begin(), nodes.end()) == nodes.end();
  ensure(ascending && nodes.front() == first && nodes.back() < graph.size(),
         "match() of " + std::string(implementation.name) + " returned nodes that are not ascending from the first");
}

}  // namespace

CandidateTable::CandidateTable(const Graph& graph, const std::vector<Dims>& shapes,
                               std::span<const Implementation* const> implementations, const Implementation* conversion,
                               const DeviceInfo& device, const PlanOptions& options)
    : graph_(graph),
      shapes_(shapes),
      conversion_(conversion),
      device_(device),
      options_(options),
      rules_(graph, options),
      candidates_(graph.nodes.size()) {
  for (NodeId node = 1; node < graph.size(); ++node) {
    for (const Implementation* implementation : implementations) {
      auto nodes = implementation->match(graph, node);
      if (nodes.empty()) continue;
      check_match(*implementation, nodes, node, graph);
      candidates_[static_cast<std::size_t>(node)].push_back(make_candidate(*implementation, std::move(nodes)));
    }
  }
  if (!options.forced.empty()) apply_force();
}

/// Rules out what would keep a node from a forced entry that takes it.
void CandidateTable::apply_force() {
  const auto forced = [&](const Candidate& candidate) {
    return options_.forced.contains(candidate.implementation->name);
  };
  std::vector<bool> taken(candidates_.size());
  for (const auto& list : candidates_) {
    for (const Candidate& candidate : list) {
      if (!forced(candidate) || !candidate.refusal.empty()) continue;
      if (!offer(candidate, candidate.problem.input_descs).refusal.empty()) continue;
      for (const NodeId node : candidate.nodes) taken[static_cast<std::size_t>(node)] = true;
    }
  }
  for (auto& list : candidates_) {
    for (Candidate& candidate : list) {
      const bool covers = std::any_of(candidate.nodes.begin(), candidate.nodes.end(),
                                      [&](NodeId node) { return taken[static_cast<std::size_t>(node)]; });
      if (covers && !forced(candidate) && candidate.refusal.empty())
        candidate.refusal = "another implementation was forced";
    }
  }
}

Candidate CandidateTable::make_candidate(const Implementation& implementation, std::vector<NodeId> nodes) const {
  Candidate candidate{&implementation, nodes, {}, make_problem(graph_, shapes_, rules_, options_, nodes)};
  if (const auto refused = options_.refused.find(implementation.name); refused != options_.refused.end()) {
    candidate.refusal = refused->second;
    return candidate;
  }
  if (const auto between = node_between(rules_, nodes)) {
    candidate.refusal = graph_.node(*between).name + " lies between the layers of the set";
    return candidate;
  }
  for (const NodeId node : nodes) {
    if (rules_.precision(node) != candidate.problem.precision) {
      candidate.refusal = graph_.node(node).name + " has another precision than " + graph_.node(nodes.front()).name;
      return candidate;
    }
    const auto& outputs = candidate.problem.outputs;
    if (rules_.named(node) && std::find(outputs.begin(), outputs.end(), node) == outputs.end()) {
      candidate.refusal = "the set would swallow " + graph_.node(node).value_name() + ", which is retained";
      return candidate;
    }
  }
  return candidate;
}

const Offer& CandidateTable::offer(const Candidate& candidate, const std::vector<ValueDesc>& inputs) {
  auto& known = offers_[&candidate];
  for (const auto& [forms, offer] : known) {
    if (forms == inputs) return *offer;
  }
  known.emplace_back(inputs, std::make_unique<Offer>(make_offer(candidate, inputs)));
  return *known.back().second;
}

Offer CandidateTable::make_offer(const Candidate& candidate, const std::vector<ValueDesc>& inputs) const {
  const Implementation& implementation = *candidate.implementation;
  Offer offer{{}, candidate.problem};
  offer.problem.input_descs = inputs;
  if (const Support support = implementation.supports(offer.problem, device_); !support) {
    offer.refusal = support.reason.empty() ? "refused without a reason" : support.reason;
    return offer;
  }
  if (implementation.descs != nullptr) {
    StepDescs wanted = implementation.descs(offer.problem, device_);
    ensure(wanted.inputs.size() == inputs.size() && wanted.outputs.size() == offer.problem.outputs.size(),
           "descs() of " + std::string(implementation.name) + " has another number of operands than the problem");
    offer.problem.input_descs = std::move(wanted.inputs);
    offer.problem.output_descs = std::move(wanted.outputs);
  }
  offer.refusal = refused(implementation, offer.problem);
  if (offer.refusal.empty()) offer.refusal = refuse_aliases(implementation, offer.problem);
  if (offer.refusal.empty()) {
    const StepTime taken = time(implementation, offer.problem);
    offer.estimate_us = taken.us;
    offer.measured = taken.measured;
  }
  return offer;
}

std::string CandidateTable::refused(const Implementation& implementation, const StepProblem& problem) const {
  if (options_.refused_problems.empty()) return {};
  const auto found = options_.refused_problems.find({std::string(implementation.name), problem_text(problem)});
  return found == options_.refused_problems.end() ? std::string() : found->second;
}

std::string CandidateTable::refuse_aliases(const Implementation& implementation, const StepProblem& problem) const {
  if (implementation.aliases == nullptr) return {};
  std::set<int> inputs_taken, outputs_taken;
  for (const AliasRule& rule : implementation.aliases(problem)) {
    if (!rule.required) continue;
    const auto input = static_cast<std::size_t>(rule.input), output = static_cast<std::size_t>(rule.output);
    ensure(input < problem.inputs.size() && output < problem.outputs.size(),
           "aliases() of " + std::string(implementation.name) + " names an operand that does not exist");
    const NodeId value = problem.inputs[input];
    const std::string& name = graph_.node(value).value_name();
    if (!inputs_taken.insert(rule.input).second || !outputs_taken.insert(rule.output).second) {
      return "must write two outputs over " + name;
    }
    if (problem.input_descs[input].bytes() != problem.output_descs[output].bytes()) {
      return "must write over " + name + ", which has another size than the output";
    }
    if (value == 0) return "must write over the network's input";
    if (value == graph_.output) return "must write over the network's output";
    if (rules_.retained(value)) return "must write over " + name + ", which is retained";
    if (!rules_.dies_in(value, problem.nodes)) return "must write over " + name + ", which other layers read";
  }
  return {};
}

StepTime CandidateTable::time(const Implementation& implementation, const StepProblem& problem) const {
  if (options_.measured != nullptr && !options_.measured->empty() && !problem.deterministic) {
    const auto found = options_.measured->find({std::string(implementation.name), problem_text(problem)});
    if (found != options_.measured->end()) return {found->second, true};
  }
  const double us = implementation.estimate_us(problem, device_);
  ensure(std::isfinite(us) && us >= 0, "estimate_us() of " + std::string(implementation.name) + " is no time");
  return {us, false};
}

StepProblem CandidateTable::conversion_problem(NodeId value, const ValueDesc& from, const ValueDesc& to) const {
  return resnet::conversion_problem(graph_, shapes_, options_, value, from, to);
}

std::optional<StepTime> CandidateTable::conversion_time(NodeId value, const ValueDesc& from, const ValueDesc& to) {
  auto& known = conversions_[value];
  for (const auto& conversion : known) {
    if (conversion.from == from && conversion.to == to) return conversion.time;
  }
  std::optional<StepTime> taken;
  if (conversion_ != nullptr) {
    const StepProblem problem = conversion_problem(value, from, to);
    if (conversion_->supports(problem, device_)) taken = time(*conversion_, problem);
  }
  known.push_back({from, to, taken});
  return taken;
}

}  // namespace resnet
