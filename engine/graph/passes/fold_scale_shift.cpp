#include "graph/edit.hpp"
#include "graph/passes/pass_functions.hpp"

namespace resnet::passes {

Graph fold_scale_shift(Graph graph, const PassOptions& options) {
  Rewrite rewrite(std::move(graph), options);
  for (NodeId id = 0; id < rewrite.size(); ++id) {
    if (rewrite.node(id).op->name != "scale_shift") continue;
    const NodeId producer = rewrite.node(id).inputs[0];
    const Node& before = rewrite.node(producer);
    const bool affine = before.op->name == "conv2d" || before.op->name == "dense" || before.op->name == "scale_shift";
    const bool open = !before.epilogue.residual && before.epilogue.activation.kind == ActivationKind::none;
    if (!affine || !open || !rewrite.absorbable(producer)) continue;
    const Node scale_shift = rewrite.absorb_consumer(producer, id);
    Node& merged = rewrite.node(id);
    const NodeEpilogue& after = scale_shift.epilogue;
    merged.epilogue.affine.insert(merged.epilogue.affine.end(), after.affine.begin(), after.affine.end());
    merged.epilogue.residual = after.residual;
    if (after.residual) merged.inputs.push_back(scale_shift.inputs.back());
    merged.epilogue.activation = after.activation;
  }
  return std::move(rewrite).finish();
}

}  // namespace resnet::passes
