#include "graph/edit.hpp"

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

}  // namespace resnet
