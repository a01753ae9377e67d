#include "graph/passes/pass_functions.hpp"

namespace resnet::passes {

Graph batch_norm_to_scale_shift(Graph graph, const PassOptions&) {
  const OpDef* scale_shift = find_op("scale_shift");
  for (Node& node : graph.nodes) {
    if (node.op->name != "batch_norm") continue;
    AffineStage stage;
    stage.kind = AffineStage::Kind::batch_norm;
    stage.layer = node.name;
    stage.gamma = node.weights[0];
    stage.beta = node.weights[1];
    stage.mean = node.weights[2];
    stage.var = node.weights[3];
    stage.eps = float_attr(node.attrs, "eps");
    node.op = scale_shift;
    node.attrs.clear();
    node.weights.clear();
    node.epilogue.affine.push_back(std::move(stage));
  }
  return graph;
}

}  // namespace resnet::passes
