#include "support/fused_network.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <variant>

#include "support/resnet_graphs.hpp"

namespace resnet::test {
namespace {

/// The layers of a network with their shapes and consumers.
class Layers {
 public:
  struct Layer {
    const LayerSpec* spec = nullptr;
    const OpDef* op = nullptr;
    AttrMap attrs;
    Dims output;
    std::vector<std::size_t> inputs, consumers;
    std::vector<Dims> input_dims;
    std::vector<const TensorShape*> weights;
    OpShapes shapes() const { return {spec->name, &attrs, input_dims, weights}; }
  };

  Layers(const NetworkSpec& network, std::int64_t batch) {
    layers_.reserve(network.layers.size());
    for (const LayerSpec& spec : network.layers) {
      Layer layer;
      layer.spec = &spec;
      layer.op = find_op(spec.op);
      layer.attrs = complete_attrs(*layer.op, spec.attrs, spec.name);
      for (const std::string& name : spec.inputs) {
        const std::size_t input = index_.at(name);
        layer.inputs.push_back(input);
        layer.input_dims.push_back(layers_[input].output);
        layers_[input].consumers.push_back(layers_.size());
      }
      for (const WeightSpec& weight : layer.op->weights) {
        const auto tensor = spec.weights.find(weight.role);
        layer.weights.push_back(tensor == spec.weights.end() ? nullptr : &network.tensors.at(tensor->second).shape);
      }
      layer.output = layer.op->infer(layer.shapes());
      if (spec.op == "input") layer.output.n = batch;
      index_.emplace(spec.name, layers_.size());
      layers_.push_back(std::move(layer));
    }
  }

  const Layer& operator[](std::size_t i) const { return layers_[i]; }
  std::size_t size() const { return layers_.size(); }

 private:
  std::vector<Layer> layers_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

struct Draft {
  FusedStep step;
  std::size_t input = 0, residual = 0, last = 0;  ///< layers; `last` is the one whose value the step makes
};

/// Takes what follows a convolution or dense layer into its epilogue. Of a sum, the operand that the other one waits
/// for stays a value of its own: the one whose chain the file lists second.
void absorb(const Layers& layers, Draft& draft, EpilogueProblem& epilogue) {
  for (;;) {
    const Layers::Layer& last = layers[draft.last];
    if (last.consumers.size() != 1 || epilogue.activation.kind != ActivationKind::none) return;
    const std::size_t next = last.consumers.front();
    const std::string& op = layers[next].spec->op;
    if (op == "batch_norm" && !epilogue.residual) {
      epilogue.scale = epilogue.shift = true;
    } else if (op == "relu") {
      epilogue.activation.kind = ActivationKind::relu;
    } else if (op == "add" && layers[next].inputs[0] == draft.last) {
      epilogue.residual = true;
      draft.residual = layers[next].inputs[1];
    } else {
      return;
    }
    draft.last = next;
  }
}

bool draft_of(const Layers& layers, std::size_t i, Draft& draft) {
  const Layers::Layer& layer = layers[i];
  const std::string& op = layer.spec->op;
  draft.step.name = layer.spec->name;
  draft.last = i;
  draft.input = layer.inputs.empty() ? i : layer.inputs[0];
  if (op == "conv2d") {
    ConvProblem conv = conv_problem(layer.shapes(), layer.output);
    absorb(layers, draft, conv.epilogue);
    draft.step.problem = conv;
  } else if (op == "max_pool") {
    draft.step.problem = pool_problem(layer.shapes(), layer.output, true);
  } else if (op == "global_avg_pool") {
    const Dims& in = layer.input_dims[0];
    draft.step.problem = AdaptivePoolProblem{in.n, in.h, in.w, in.c, 1, 1, DType::f32, DType::f32};
  } else if (op == "dense") {
    DenseProblem dense = dense_problem(layer.shapes(), layer.output);
    dense.epilogue.shift = layer.weights[1] != nullptr;
    absorb(layers, draft, dense.epilogue);
    draft.step.problem = dense;
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::vector<FusedStep> fused_network(std::string_view network, std::int64_t batch, std::int64_t size,
                                     std::int64_t classes) {
  const NetworkSpec spec = torchvision_resnet(network, size, classes);
  const Layers layers(spec, batch);
  std::vector<Draft> drafts;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    Draft draft;
    if (draft_of(layers, i, draft)) drafts.push_back(std::move(draft));
  }
  std::stable_sort(drafts.begin(), drafts.end(), [](const Draft& a, const Draft& b) { return a.last < b.last; });

  std::map<std::size_t, int> made{{0, -1}};  // layer -> step whose output is its value
  const auto step_of = [&](std::size_t layer) {
    while (layers[layer].spec->op == "flatten") layer = layers[layer].inputs[0];  // of one position: no change
    const auto found = made.find(layer);
    if (found == made.end()) throw std::logic_error("no step makes " + layers[layer].spec->name);
    return found->second;
  };
  std::vector<FusedStep> steps;
  for (Draft& draft : drafts) {
    draft.step.input = step_of(draft.input);
    if (draft.residual != 0) draft.step.residual = step_of(draft.residual);
    made.emplace(draft.last, static_cast<int>(steps.size()));
    steps.push_back(std::move(draft.step));
  }
  return steps;
}

}  // namespace resnet::test
