#include "graph/edit.hpp"
#include "graph/passes/pass_functions.hpp"

namespace resnet::passes {

Graph fuse_activation(Graph graph, const PassOptions& options) {
  Rewrite rewrite(std::move(graph), options);
  for (NodeId id = 0; id < rewrite.size(); ++id) {
    const auto activation = activation_of(*rewrite.node(id).op, rewrite.node(id).attrs);
    if (!activation) continue;
    const NodeId producer = rewrite.node(id).inputs[0];
    const Node& before = rewrite.node(producer);
    if (!before.op->takes_epilogue || before.epilogue.activation.kind != ActivationKind::none) continue;
    if (!rewrite.absorbable(producer)) continue;
    rewrite.absorb_consumer(producer, id);
    rewrite.node(id).epilogue.activation = *activation;
  }
  return std::move(rewrite).finish();
}

}  // namespace resnet::passes
