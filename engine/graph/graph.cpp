#include "graph/graph.hpp"

#include "base/check.hpp"
#include "ops/rule.hpp"

namespace resnet {

Dims Graph::input_dims() const {
  const AttrMap& attrs = nodes.front().attrs;
  return {1, int_attr(attrs, "height"), int_attr(attrs, "width"), int_attr(attrs, "channels")};
}

NodeShapes::NodeShapes(const Graph& graph, NodeId id, const std::vector<Dims>& shapes) {
  const Node& node = graph.node(id);
  for (int i = 0; i < node.op->inputs; ++i) {
    inputs.push_back(shapes[static_cast<std::size_t>(node.inputs[static_cast<std::size_t>(i)])]);
  }
  for (const std::string& tensor : node.weights) {
    weights.push_back(tensor.empty() ? nullptr : &graph.tensors.find(tensor)->second.shape);
  }
  view = {node.name, &node.attrs, inputs, weights};
}

std::vector<Dims> infer_shapes(const Graph& graph, std::int64_t n, std::int64_t h, std::int64_t w) {
  std::vector<Dims> shapes;
  shapes.reserve(graph.nodes.size());
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const NodeShapes view(graph, id, shapes);
    if (id == 0) {
      shapes.push_back(ops::checked_dims(view.view, {n, h, w, int_attr(node.attrs, "channels")}));
      continue;
    }
    shapes.push_back(node.op->infer(view.view));
    if (!node.epilogue.residual) continue;
    const Dims& residual = shapes[static_cast<std::size_t>(node.inputs.back())];
    if (residual != shapes.back()) {
      fail(ErrorCode::bad_geometry,
           "adds values of different size, " + to_string(shapes.back()) + " and " + to_string(residual),
           ops::layer_text(node.value_name()));
    }
  }
  return shapes;
}

EpilogueProblem epilogue_problem(const Node& node) {
  EpilogueProblem problem;
  for (const AffineStage& stage : node.epilogue.affine) {
    problem.shift = true;
    problem.scale = problem.scale || stage.kind == AffineStage::Kind::batch_norm;
  }
  problem.residual = node.epilogue.residual;
  problem.activation = node.epilogue.activation;
  return problem;
}

std::int64_t node_macs(const Graph& graph, NodeId id, const std::vector<Dims>& shapes) {
  const NodeShapes view(graph, id, shapes);
  const auto macs = graph.node(id).op->macs;
  return macs ? macs(view.view, shapes[static_cast<std::size_t>(id)]) : 0;
}

std::vector<std::vector<NodeId>> consumers(const Graph& graph) {
  std::vector<std::vector<NodeId>> result(graph.nodes.size());
  for (NodeId id = 0; id < graph.size(); ++id) {
    for (const NodeId input : graph.node(id).inputs) result[static_cast<std::size_t>(input)].push_back(id);
  }
  return result;
}

}  // namespace resnet
