#include "graph/edit.hpp"

#include <utility>

namespace resnet {

Graph drop_unreachable(Graph graph) {
  std::vector<bool> alive(graph.nodes.size(), false);
  alive[0] = true;
  alive[static_cast<std::size_t>(graph.output)] = true;
  for (NodeId id = graph.size(); id-- > 0;) {  // consumers come after producers
    if (!alive[static_cast<std::size_t>(id)]) continue;
    for (const NodeId input : graph.node(id).inputs) alive[static_cast<std::size_t>(input)] = true;
  }
  std::vector<NodeId> new_id(graph.nodes.size());
  std::vector<Node> nodes;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!alive[static_cast<std::size_t>(id)]) continue;
    new_id[static_cast<std::size_t>(id)] = static_cast<NodeId>(nodes.size());
    nodes.push_back(std::move(graph.node(id)));
    for (NodeId& input : nodes.back().inputs) input = new_id[static_cast<std::size_t>(input)];
  }
  graph.nodes = std::move(nodes);
  graph.output = new_id[static_cast<std::size_t>(graph.output)];
  return graph;
}

Rewrite::Rewrite(Graph graph, const PassOptions& options)
    : graph_(std::move(graph)), options_(options), uses_(graph_.nodes.size(), 0) {
  for (const Node& node : graph_.nodes) {
    for (const NodeId input : node.inputs) ++uses_[static_cast<std::size_t>(input)];
  }
}

bool Rewrite::absorbable(NodeId id) const {
  return id != 0 && id != graph_.output && uses_[static_cast<std::size_t>(id)] == 1 &&
         !options_.keep.contains(graph_.node(id).value_name());
}

// The producer's place becomes unreachable and finish() drops it; the operands of both keep their number of uses.

Node Rewrite::absorb_consumer(NodeId producer, NodeId consumer) {
  uses_[static_cast<std::size_t>(producer)] = 0;
  Node& place = graph_.node(consumer);
  Node old = std::exchange(place, std::exchange(graph_.node(producer), Node{}));
  place.layers.insert(place.layers.end(), old.layers.begin(), old.layers.end());
  return old;
}

Node Rewrite::absorb_producer(NodeId producer, NodeId consumer) {
  uses_[static_cast<std::size_t>(producer)] = 0;
  Node old = std::exchange(graph_.node(producer), Node{});
  Node& place = graph_.node(consumer);
  place.inputs.front() = old.inputs.front();
  place.layers.insert(place.layers.begin(), old.layers.begin(), old.layers.end());
  return old;
}

Graph Rewrite::finish() && { return drop_unreachable(std::move(graph_)); }

}  // namespace resnet
