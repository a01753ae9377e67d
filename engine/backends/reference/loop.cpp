// One entry for all ops: the loops that define them, with the node's epilogue.

#include <algorithm>
#include <cstring>

#include "backends/reference/entries.hpp"
#include "ops/reference.hpp"

namespace resnet::reference {
namespace {

const float* floats(const std::byte* bytes) { return reinterpret_cast<const float*>(bytes); }
float* floats(std::byte* bytes) { return reinterpret_cast<float*>(bytes); }

ValueDesc plain_f32(const ValueDesc& desc) {
  ValueDesc plain;
  plain.dims = desc.dims;
  return plain;
}

std::vector<NodeId> match(const Graph& graph, NodeId first) {
  if (graph.node(first).op->reference_f32 != nullptr) return {first};
  return {};
}

Support supports(const StepProblem& problem, const DeviceInfo&) {
  if (problem.precision == Precision::int8 || problem.precision == Precision::fp8) {
    return Support::no("the reference loops compute in fp32");
  }
  return Support::yes();
}

StepDescs descs(const StepProblem& problem, const DeviceInfo&) {
  StepDescs wanted;
  for (const ValueDesc& desc : problem.input_descs) wanted.inputs.push_back(plain_f32(desc));
  for (const ValueDesc& desc : problem.output_descs) wanted.outputs.push_back(plain_f32(desc));
  return wanted;
}

/// Plain loops on one core: about 2 multiply-accumulates and 2 bytes per nanosecond.
double estimate_us(const StepProblem& problem, const DeviceInfo&) {
  double bytes = 0;
  for (const ValueDesc& desc : problem.input_descs) bytes += static_cast<double>(desc.bytes());
  for (const ValueDesc& desc : problem.output_descs) bytes += static_cast<double>(desc.bytes());
  const auto macs = static_cast<double>(node_macs(*problem.graph, problem.nodes[0], *problem.shapes));
  return 1 + (macs + bytes) / 2000;
}

WeightRequest raw_weight(const std::string& tensor, const TensorShape& shape) {
  WeightRequest request;
  request.tensors = {tensor};
  request.format = "reference";
  request.bytes = sizeof(float);
  for (const std::int64_t extent : shape) request.bytes *= static_cast<std::size_t>(extent);
  request.pack = [](std::span<const TensorValues> tensors, std::byte* out) {
    std::memcpy(out, tensors[0].values.data(), tensors[0].values.size_bytes());
  };
  return request;
}

/// Scale, then shift, of all channels.
WeightRequest scale_shift(const std::vector<AffineStage>& stages, std::size_t channels) {
  WeightRequest request;
  request.tensors = affine_tensors(stages);
  request.format = "reference " + affine_key(stages);
  request.bytes = 2 * channels * sizeof(float);
  request.pack = [stages, channels](std::span<const TensorValues> tensors, std::byte* out) {
    const ScaleShift affine = evaluate_affine(stages, channels, lookup_by_name(tensors));
    float* const values = floats(out);
    for (std::size_t c = 0; c < channels; ++c) {
      values[c] = static_cast<float>(affine.scale[c]);
      values[channels + c] = static_cast<float>(affine.shift[c]);
    }
  };
  return request;
}

class LoopStep final : public Step {
 public:
  explicit LoopStep(const StepProblem& problem)
      : node_(problem.node()), shapes_(*problem.graph, problem.nodes[0], *problem.shapes) {
    for (const NodeId input : node_.inputs) {
      const auto found = std::find(problem.inputs.begin(), problem.inputs.end(), input);
      operands_.push_back(static_cast<std::size_t>(found - problem.inputs.begin()));
    }
    const std::size_t op_inputs = node_.inputs.size() - (node_.epilogue.residual ? 1 : 0);
    inputs_.resize(op_inputs);
    weights_.resize(node_.weights.size());
    for (std::size_t i = 0; i < node_.weights.size(); ++i) {
      if (!node_.weights[i].empty()) requests_.push_back(raw_weight(node_.weights[i], *shapes_.weights[i]));
    }
    args_.attrs = &node_.attrs;
    args_.inputs = inputs_;
    args_.input_dims = std::span<const Dims>(shapes_.inputs).first(op_inputs);
    args_.weights = weights_;
    args_.weight_shapes = shapes_.weights;
    args_.output_dims = problem.output_descs[0].dims;
    if (!node_.epilogue.affine.empty()) {
      requests_.push_back(scale_shift(node_.epilogue.affine, static_cast<std::size_t>(args_.output_dims.c)));
    }
    epilogue_.activation = node_.epilogue.activation;
  }

  std::span<const WeightRequest> weights() const override { return requests_; }

  void bind(const StepBuffers& buffers) override {
    for (std::size_t i = 0; i < inputs_.size(); ++i) inputs_[i] = floats(buffers.inputs[operands_[i]]);
    if (node_.epilogue.residual) epilogue_.residual = floats(buffers.inputs[operands_.back()]);
    std::size_t next = 0;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      weights_[i] = node_.weights[i].empty() ? nullptr : floats(buffers.weights[next++]);
    }
    if (!node_.epilogue.affine.empty()) {
      epilogue_.scale = floats(buffers.weights[next]);
      epilogue_.shift = epilogue_.scale + args_.output_dims.c;
    }
    args_.output = floats(buffers.outputs[0]);
  }

  void run() override { run_reference_node(*node_.op, args_, epilogue_); }
  std::string detail() const override { return "fp32 loop, one thread"; }

 private:
  Node node_;
  NodeShapes shapes_;
  std::vector<std::size_t> operands_;  ///< per node input, its index among the step's inputs
  std::vector<const float*> inputs_, weights_;
  std::vector<WeightRequest> requests_;
  ReferenceArgs<float> args_;
  ReferenceEpilogue<float> epilogue_;
};

std::unique_ptr<Step> prepare(const StepProblem& problem, const DeviceInfo&) {
  return std::make_unique<LoopStep>(problem);
}

}  // namespace

const Implementation loop{"reference", match, supports, estimate_us, descs, nullptr, prepare};

}  // namespace resnet::reference
