#include <string_view>
#include <utility>

#include "graph/passes/pass_functions.hpp"

namespace resnet::passes {

Graph bias_to_epilogue(Graph graph, const PassOptions&) {
  for (Node& node : graph.nodes) {
    for (std::size_t i = 0; i < node.weights.size(); ++i) {
      if (node.op->weights[i].role != "bias" || node.weights[i].empty()) continue;
      AffineStage stage;
      stage.kind = AffineStage::Kind::bias;
      stage.layer = node.name;
      stage.bias = std::exchange(node.weights[i], {});
      node.epilogue.affine.insert(node.epilogue.affine.begin(), std::move(stage));
    }
  }
  return graph;
}

}  // namespace resnet::passes
