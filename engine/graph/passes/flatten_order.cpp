#include <algorithm>

#include "graph/passes/pass_functions.hpp"

namespace resnet::passes {

namespace {

/// A name that no value and no layer has.
std::string free_name(const Graph& graph, std::string name) {
  const auto taken = [&] {
    return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
      return node.name == name || std::find(node.layers.begin(), node.layers.end(), name) != node.layers.end();
    });
  };
  while (taken()) name += "'";
  return name;
}

}  // namespace

Graph flatten_order(Graph graph, const PassOptions& options) {
  const auto is_candidate = [](const Node& node) {
    return node.op->name == "flatten" && string_attr(node.attrs, "order") == "nchw";
  };
  if (std::none_of(graph.nodes.begin(), graph.nodes.end(), is_candidate)) return graph;

  const std::vector<std::vector<NodeId>> uses = consumers(graph);
  const Dims input = graph.input_dims();
  const std::vector<Dims> shapes = infer_shapes(graph, 1, input.h, input.w);  // channels do not depend on the size
  for (NodeId id = 0; id < graph.size(); ++id) {
    const std::vector<NodeId>& users = uses[static_cast<std::size_t>(id)];
    const auto is_dense = [&](NodeId user) {
      const Node& node = graph.node(user);
      return node.op->name == "dense" && string_attr(node.attrs, "input_order") == "nhwc";
    };
    if (!is_candidate(graph.node(id)) || id == graph.output || options.keep.contains(graph.node(id).value_name()) ||
        users.empty() || !std::all_of(users.begin(), users.end(), is_dense)) {
      continue;
    }
    Node& flatten = graph.node(id);
    flatten.attrs["order"] = std::string("nhwc");
    // dense fixes the number of features, so one position now is one position at every size that it accepts.
    const Dims& flattened = shapes[static_cast<std::size_t>(flatten.inputs[0])];
    if (flattened.h == 1 && flattened.w == 1) continue;
    for (const NodeId user : users) {
      Node& dense = graph.node(user);
      dense.attrs["input_order"] = std::string("nchw");
      dense.attrs["input_channels"] = flattened.c;
    }
    Node& first = graph.node(users.front());
    first.layers.insert(first.layers.begin(), flatten.layers.begin(), flatten.layers.end());
    flatten.name = free_name(graph, flatten.name + ":nhwc");
    flatten.layers = {flatten.name};
  }
  return graph;
}

}  // namespace resnet::passes
