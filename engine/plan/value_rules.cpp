#include "plan/value_rules.hpp"

#include <algorithm>
#include <set>

#include "base/check.hpp"

namespace resnet {
namespace {

Precision precision_of(const Node& node, const PlanOptions& options) {
  if (const auto own = options.layer_precision.find(node.name); own != options.layer_precision.end())
    return own->second;
  for (const auto& layer : node.layers) {
    if (const auto found = options.layer_precision.find(layer); found != options.layer_precision.end())
      return found->second;
  }
  return options.precision;
}

bool contains(std::span<const NodeId> nodes, NodeId node) {
  return std::binary_search(nodes.begin(), nodes.end(), node);
}

ValueDesc plain_desc(const Dims& dims, DType dtype) {
  ValueDesc desc;
  desc.dims = dims;
  desc.dtype = dtype;
  return desc;
}

}  // namespace

ValueRules::ValueRules(const Graph& graph, const PlanOptions& options)
    : graph_(graph), options_(options), consumers_(resnet::consumers(graph)) {
  for (const Node& node : graph.nodes) {
    precisions_.push_back(precision_of(node, options));
    named_.push_back(options.retain_names.contains(node.value_name()));
  }
}

bool ValueRules::dies_in(NodeId value, std::span<const NodeId> nodes) const {
  if (value == 0 || value == graph_.output || retained(value)) return false;
  const auto& users = consumers(value);
  return std::all_of(users.begin(), users.end(),
                     [&](NodeId user) { return contains(nodes, user) || runs_before(user, nodes); });
}

bool ValueRules::runs_before(NodeId user, std::span<const NodeId> nodes) const {
  // Ids are topological: a path from `user` to the step never passes a lower id.
  std::vector<NodeId> open(nodes.begin(), nodes.end());
  std::set<NodeId> seen(nodes.begin(), nodes.end());
  while (!open.empty()) {
    const NodeId node = open.back();
    open.pop_back();
    for (const NodeId input : graph_.node(node).inputs) {
      if (input == user) return true;
      if (input > user && seen.insert(input).second) open.push_back(input);
    }
  }
  return false;
}

ValueDesc ValueRules::canonical(const Dims& dims, Precision precision) const {
  return plain_desc(dims, value_dtype(precision));
}

ValueDesc ValueRules::plain(const ValueDesc& form) const { return plain_desc(form.dims, form.dtype); }

ValueDesc ValueRules::external(const Dims& dims) const { return plain_desc(dims, DType::f32); }

std::vector<ValueDesc> ValueRules::demands(NodeId value, const ValueDesc& produced) const {
  std::vector<ValueDesc> forms;
  const auto demand = [&](const ValueDesc& form) {
    if (form != produced && std::find(forms.begin(), forms.end(), form) == forms.end()) forms.push_back(form);
  };
  if (retained(value)) demand(plain(produced));
  if (value == graph_.output) demand(external(produced.dims));
  return forms;
}

StepProblem make_problem(const Graph& graph, const std::vector<Dims>& shapes, const ValueRules& rules,
                         const PlanOptions& options, std::vector<NodeId> nodes) {
  StepProblem problem;
  problem.graph = &graph;
  problem.shapes = &shapes;
  problem.nodes = std::move(nodes);
  problem.precision = rules.precision(problem.nodes.front());
  problem.threads = options.threads;
  problem.deterministic = options.deterministic;
  const auto dims = [&](NodeId value) { return shapes[static_cast<std::size_t>(value)]; };
  for (const NodeId node : problem.nodes) {
    for (const NodeId input : graph.node(node).inputs) {
      const bool known = std::find(problem.inputs.begin(), problem.inputs.end(), input) != problem.inputs.end();
      if (!known && !contains(problem.nodes, input)) problem.inputs.push_back(input);
    }
    const auto& users = rules.consumers(node);
    const bool inner =
        !users.empty() && node != graph.output &&
        std::all_of(users.begin(), users.end(), [&](NodeId user) { return contains(problem.nodes, user); });
    if (!inner) problem.outputs.push_back(node);
  }
  for (const NodeId input : problem.inputs) {
    problem.input_descs.push_back(rules.canonical(dims(input), problem.precision));
  }
  for (const NodeId output : problem.outputs) {
    problem.output_descs.push_back(output == graph.output ? rules.external(dims(output))
                                                          : rules.canonical(dims(output), problem.precision));
  }
  return problem;
}

StepProblem conversion_problem(const Graph& graph, const std::vector<Dims>& shapes, const PlanOptions& options,
                               NodeId value, const ValueDesc& from, const ValueDesc& to) {
  StepProblem problem;
  problem.graph = &graph;
  problem.shapes = &shapes;
  problem.inputs = problem.outputs = {value};
  problem.input_descs = {from};
  problem.output_descs = {to};
  problem.precision = options.precision;
  problem.threads = options.threads;
  problem.deterministic = options.deterministic;
  return problem;
}

std::optional<NodeId> node_between(const ValueRules& rules, std::span<const NodeId> nodes) {
  const NodeId first = nodes.front(), last = nodes.back();
  // Outside nodes that some covered node reaches. Ids ascend along every path, so the window is enough.
  std::vector<bool> reached(static_cast<std::size_t>(last - first) + 1);
  for (NodeId node = first; node <= last; ++node) {
    const bool inside = contains(nodes, node);
    if (!inside && !reached[static_cast<std::size_t>(node - first)]) continue;
    for (const NodeId user : rules.consumers(node)) {
      if (user > last) continue;
      if (!inside && contains(nodes, user)) return node;
      reached[static_cast<std::size_t>(user - first)] = true;
    }
  }
  return std::nullopt;
}

std::string layer_text(const Graph& graph, std::span<const NodeId> nodes) {
  std::string text;
  const auto append = [&](const std::string& layer) { text += (text.empty() ? "" : " + ") + layer; };
  for (const NodeId id : nodes) {
    const Node& node = graph.node(id);
    if (node.layers.empty()) append(node.name);
    for (const auto& layer : node.layers) append(layer);
  }
  return text;
}

}  // namespace resnet
