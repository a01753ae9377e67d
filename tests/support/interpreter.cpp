#include "support/interpreter.hpp"

#include <cmath>

#include "ops/reference.hpp"

namespace resnet::test {

namespace {

struct ScaleShift {
  std::vector<double> scale, shift;
};

ScaleShift compose(const std::vector<AffineStage>& stages, std::size_t channels, const WeightMap& weights) {
  ScaleShift total{std::vector<double>(channels, 1.0), std::vector<double>(channels, 0.0)};
  const auto value = [&](const std::string& tensor, std::size_t c, double fallback) {
    return tensor.empty() ? fallback : static_cast<double>(weights.find(tensor)->second.at(c));
  };
  for (const AffineStage& stage : stages) {
    for (std::size_t c = 0; c < channels; ++c) {
      double a = 1, b = 0;
      if (stage.kind == AffineStage::Kind::bias) {
        b = value(stage.bias, c, 0);
      } else {
        a = value(stage.gamma, c, 1) / std::sqrt(value(stage.var, c, 0) + stage.eps);
        b = value(stage.beta, c, 0) - a * value(stage.mean, c, 0);
      }
      total.scale[c] *= a;
      total.shift[c] = total.shift[c] * a + b;
    }
  }
  return total;
}

std::vector<std::vector<double>> interpret_nodes(const Graph& graph, const WeightMap& weights, const Dims& input_dims,
                                                 const std::vector<float>& input) {
  const std::vector<Dims> shapes = infer_shapes(graph, input_dims.n, input_dims.h, input_dims.w);
  std::vector<std::vector<double>> values(graph.nodes.size());
  values[0].assign(input.begin(), input.end());
  for (NodeId id = 1; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const auto i = static_cast<std::size_t>(id);
    const NodeShapes view(graph, id, shapes);
    std::vector<const double*> inputs;
    for (std::size_t k = 0; k < view.inputs.size(); ++k) {
      inputs.push_back(values[static_cast<std::size_t>(node.inputs[k])].data());
    }
    std::vector<const float*> tensors;
    for (const std::string& tensor : node.weights) {
      tensors.push_back(tensor.empty() ? nullptr : weights.find(tensor)->second.data());
    }
    // NaN shows what a loop forgets to write.
    values[i].assign(static_cast<std::size_t>(shapes[i].elements()), std::nan(""));
    const ScaleShift affine = compose(node.epilogue.affine, static_cast<std::size_t>(shapes[i].c), weights);
    ReferenceEpilogue<double, double> epilogue;
    if (!node.epilogue.affine.empty()) epilogue.scale = affine.scale.data(), epilogue.shift = affine.shift.data();
    if (node.epilogue.residual) epilogue.residual = values[static_cast<std::size_t>(node.inputs.back())].data();
    epilogue.activation = node.epilogue.activation;
    run_reference_node(*node.op, {&node.attrs, inputs, view.inputs, tensors, view.weights, values[i].data(), shapes[i]},
                       epilogue);
  }
  return values;
}

}  // namespace

Values interpret(const Graph& graph, const WeightMap& weights, const Dims& input_dims,
                 const std::vector<float>& input) {
  std::vector<std::vector<double>> nodes = interpret_nodes(graph, weights, input_dims, input);
  Values values;
  for (NodeId id = 0; id < graph.size(); ++id) {
    values[graph.node(id).value_name()] = std::move(nodes[static_cast<std::size_t>(id)]);
  }
  return values;
}

std::vector<double> interpret_output(const Graph& graph, const WeightMap& weights, const Dims& input_dims,
                                     const std::vector<float>& input) {
  return interpret_nodes(graph, weights, input_dims, input)[static_cast<std::size_t>(graph.output)];
}

}  // namespace resnet::test
