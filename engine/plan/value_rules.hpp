#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plan/plan.hpp"

namespace resnet {

/// What the caller's wishes mean for the values of a graph. Refers to its arguments.
class ValueRules {
 public:
  ValueRules(const Graph& graph, const PlanOptions& options);

  const std::vector<NodeId>& consumers(NodeId value) const { return consumers_[static_cast<std::size_t>(value)]; }
  /// Arithmetic of a node: the override of the first of its source layers that has one, else the default.
  Precision precision(NodeId node) const { return precisions_[static_cast<std::size_t>(node)]; }
  /// Asked for by name: must exist in memory, so no set may swallow it.
  bool named(NodeId value) const { return named_[static_cast<std::size_t>(value)]; }
  /// Readable after the run.
  bool retained(NodeId value) const { return value != 0 && options_.retain_steps ? true : named(value); }
  /// Nothing reads the value after the step that computes `nodes`: its other readers are ancestors of the step, so
  /// every legal order runs them first.
  bool dies_in(NodeId value, std::span<const NodeId> nodes) const;

  /// Plain NHWC in the type that the precision computes with.
  ValueDesc canonical(const Dims& dims, Precision precision) const;
  /// Plain NHWC in the form's own type: how retained values can be read.
  ValueDesc plain(const ValueDesc& form) const;
  /// The form in which the network's input arrives and its output leaves: plain NHWC f32.
  ValueDesc external(const Dims& dims) const;
  /// Forms of a value that are needed besides what its consumers ask for: of the output and of retained values.
  std::vector<ValueDesc> demands(NodeId value, const ValueDesc& produced) const;

 private:
  /// There is a path from `user` to one of `nodes`.
  bool runs_before(NodeId user, std::span<const NodeId> nodes) const;

  const Graph& graph_;
  const PlanOptions& options_;
  std::vector<std::vector<NodeId>> consumers_;
  std::vector<Precision> precisions_;
  std::vector<bool> named_;
};

/// The problem of a set of nodes, descriptors in canonical form (f32 for the network's output).
StepProblem make_problem(const Graph& graph, const std::vector<Dims>& shapes, const ValueRules& rules,
                         const PlanOptions& options, std::vector<NodeId> nodes);

/// The problem of a change of form: one input, one output, both the same value, no nodes.
StepProblem conversion_problem(const Graph& graph, const std::vector<Dims>& shapes, const PlanOptions& options,
                               NodeId value, const ValueDesc& from, const ValueDesc& to);

/// A node outside `nodes` (ascending) that lies on a path from one of them to another, if there is one.
std::optional<NodeId> node_between(const ValueRules& rules, std::span<const NodeId> nodes);

/// "conv1 + bn1 + relu": the source layers of some nodes.
std::string layer_text(const Graph& graph, std::span<const NodeId> nodes);

}  // namespace resnet
