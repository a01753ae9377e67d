#pragma once

#include <cstddef>
#include <vector>

#include "graph/graph.hpp"
#include "graph/passes.hpp"

/// What rewrites share. Not needed outside engine/graph.
namespace resnet {

/// The graph without nodes that do not lead to its output, in the same order. The input stays even when nothing uses
/// it.
Graph drop_unreachable(Graph graph);

/// A graph while a pass merges nodes. A merged node always takes the place of the later of the two: every operand of
/// either stands before it, so the order stays topological and nobody else's inputs change.
class Rewrite {
 public:
  Rewrite(Graph graph, const PassOptions& options);

  NodeId size() const { return graph_.size(); }
  Node& node(NodeId id) { return graph_.node(id); }
  const Graph& graph() const { return graph_; }

  /// Whether the value may vanish into its consumer: used exactly once, not the network's output, not to be kept.
  bool absorbable(NodeId id) const;
  /// `producer`'s node takes the consumer's place with the consumer's layers appended; returns the consumer as it was.
  /// The caller transfers what it did.
  Node absorb_consumer(NodeId producer, NodeId consumer);
  /// `consumer` reads what its first operand `producer` read and computes the producer's layers first; returns the
  /// producer as it was. The caller transfers what it did.
  Node absorb_producer(NodeId producer, NodeId consumer);

  Graph finish() &&;

 private:
  Graph graph_;
  const PassOptions& options_;
  std::vector<int> uses_;
};

}  // namespace resnet
