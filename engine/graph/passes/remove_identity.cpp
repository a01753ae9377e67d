#include <algorithm>
#include <array>
#include <string_view>

#include "graph/edit.hpp"
#include "graph/passes/pass_functions.hpp"

namespace resnet::passes {

namespace {

/// Per node: whether its value is N x 1 x 1 x C at every input size.
std::vector<bool> single_positions(const Graph& graph) {
  constexpr std::array keeps_size{std::string_view("batch_norm"), std::string_view("scale_shift"),
                                  std::string_view("add"),        std::string_view("mul"),
                                  std::string_view("softmax"),    std::string_view("identity")};
  std::vector<bool> single;
  for (const Node& node : graph.nodes) {
    const std::string_view op = node.op->name;
    if (op == "global_avg_pool" || op == "flatten" || op == "dense") {
      single.push_back(true);
    } else if (op == "adaptive_avg_pool") {
      single.push_back(ints_attr(node.attrs, "output") == std::vector<std::int64_t>{1, 1});
    } else if (activation_of(*node.op, node.attrs) ||
               std::find(keeps_size.begin(), keeps_size.end(), op) != keeps_size.end()) {
      single.push_back(single[static_cast<std::size_t>(node.inputs[0])]);
    } else {
      single.push_back(false);
    }
  }
  return single;
}

}  // namespace

Graph remove_identity(Graph graph, const PassOptions& options) {
  const std::vector<bool> single = single_positions(graph);
  std::vector<NodeId> source(graph.nodes.size());  // where a value really comes from
  for (NodeId id = 0; id < graph.size(); ++id) {
    source[static_cast<std::size_t>(id)] = id;
    Node& node = graph.node(id);
    for (NodeId& input : node.inputs) input = source[static_cast<std::size_t>(input)];
    const bool copies =
        node.op->name == "identity" || (node.op->name == "flatten" && single[static_cast<std::size_t>(node.inputs[0])]);
    if (!copies) continue;
    Node& producer = graph.node(node.inputs[0]);
    if (options.keep.contains(node.value_name()) || options.keep.contains(producer.value_name())) continue;
    source[static_cast<std::size_t>(id)] = node.inputs[0];
    // The input keeps its name: callers find it by that.
    if (node.inputs[0] != 0) producer.layers.insert(producer.layers.end(), node.layers.begin(), node.layers.end());
  }
  graph.output = source[static_cast<std::size_t>(graph.output)];
  return drop_unreachable(std::move(graph));
}

}  // namespace resnet::passes
