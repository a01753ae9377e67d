#include <algorithm>

#include "graph/edit.hpp"
#include "graph/passes/pass_functions.hpp"

namespace resnet::passes {

namespace {

/// Whether the value is a convolution whose epilogue is open for a residual.
bool takes_residual(Rewrite& rewrite, NodeId id) {
  const Node& node = rewrite.node(id);
  return node.op->name == "conv2d" && rewrite.absorbable(id) && !node.epilogue.residual &&
         node.epilogue.activation.kind == ActivationKind::none;
}

}  // namespace

Graph fuse_residual(Graph graph, const PassOptions& options) {
  Rewrite rewrite(std::move(graph), options);
  for (NodeId id = 0; id < rewrite.size(); ++id) {
    if (rewrite.node(id).op->name != "add") continue;
    // The later one: the other operand is then ready before the convolution starts.
    NodeId conv = std::max(rewrite.node(id).inputs[0], rewrite.node(id).inputs[1]);
    NodeId other = std::min(rewrite.node(id).inputs[0], rewrite.node(id).inputs[1]);
    if (!takes_residual(rewrite, conv)) std::swap(conv, other);
    if (!takes_residual(rewrite, conv)) continue;
    const Node add = rewrite.absorb_consumer(conv, id);
    Node& merged = rewrite.node(id);
    merged.inputs.push_back(other);
    merged.epilogue.residual = true;
    merged.epilogue.activation = add.epilogue.activation;
  }
  return std::move(rewrite).finish();
}

}  // namespace resnet::passes
