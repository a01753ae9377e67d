#include "backends/cuda/library_weights.hpp"

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "backends/cuda/kernel_entries.hpp"
#include "backends/cuda/op_problem.hpp"
#include "base/check.hpp"
#include "base/dtype.hpp"

namespace resnet::cuda {
namespace {

/// Rounds to `dtype`. False when the value does not fit.
bool store(double value, DType dtype, std::byte* out, std::size_t index) {
  const auto single = static_cast<float>(value);
  if (dtype == DType::f32) {
    std::memcpy(out + index * sizeof single, &single, sizeof single);
    return std::isfinite(single);
  }
  const std::uint16_t bits = dtype == DType::f16 ? f32_to_f16(single) : f32_to_bf16(single);
  std::memcpy(out + index * sizeof bits, &bits, sizeof bits);
  return std::isfinite(dtype == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits));
}

[[noreturn]] void does_not_fit(const std::string& layer, const char* what, DType dtype) {
  fail(ErrorCode::nonfinite_weight, std::string(what) + " does not fit " + std::string(to_string(dtype)),
       "layer '" + layer + "'", "use bf16 or fp32");
}

/// All that packing reads of a node, kept while the request waits.
struct Source {
  std::string layer;
  std::vector<AffineStage> affine;
  std::size_t channels = 0;
};

Source source_of(const StepProblem& step) {
  const Node& node = step.node();
  return {node.value_name(), node.epilogue.affine, static_cast<std::size_t>(step.output_descs[0].dims.c)};
}

}  // namespace

WeightRequest library_filter(const StepProblem& step, DType dtype, bool folded) {
  const Node& node = step.node();
  const NodeShapes shapes(*step.graph, step.nodes[0], *step.shapes);
  const TensorShape shape = *shapes.weights[0];
  std::size_t elements = 1;
  for (const std::int64_t extent : shape) elements *= static_cast<std::size_t>(extent);
  WeightRequest request;
  request.tensors = {node.weights[0]};
  request.format = "cuda library " + filter_text(step, dtype);
  Source source = source_of(step);
  if (!folded) source.affine.clear();
  if (!source.affine.empty()) {
    for (std::string& tensor : affine_tensors(source.affine)) request.tensors.push_back(std::move(tensor));
    request.format += " times scale of " + affine_key(source.affine);
  }
  request.bytes = elements * size_of(dtype);
  request.pack = [source = std::move(source), op = node.op, attrs = node.attrs, inputs = shapes.inputs, shape, dtype](
                     std::span<const TensorValues> tensors, std::byte* out) {
    const TensorShape* const weights[] = {&shape};
    const OpShapes view{{}, &attrs, inputs, weights};
    const std::vector<float> values = kernel_weights(*op, view, tensors[0].values);
    std::vector<double> scale(source.channels, 1.0);
    if (!source.affine.empty()) scale = evaluate_affine(source.affine, source.channels, lookup_by_name(tensors)).scale;
    const std::size_t per_channel = values.size() / source.channels;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!store(scale[i / per_channel] * static_cast<double>(values[i]), dtype, out, i))
        does_not_fit(source.layer, "a weight times the batch norm's scale", dtype);
    }
  };
  return request;
}

WeightRequest library_shift(const StepProblem& step, DType dtype) {
  Source source = source_of(step);
  WeightRequest request;
  request.tensors = source.affine.empty() ? std::vector{step.node().weights[0]} : affine_tensors(source.affine);
  request.format = "cuda library " + std::string(to_string(dtype)) + " shift of " + affine_key(source.affine) + " in " +
                   std::to_string(source.channels);
  request.bytes = source.channels * size_of(dtype);
  request.pack = [source = std::move(source), dtype](std::span<const TensorValues> tensors, std::byte* out) {
    std::vector<double> shift(source.channels, 0.0);
    if (!source.affine.empty()) shift = evaluate_affine(source.affine, source.channels, lookup_by_name(tensors)).shift;
    for (std::size_t c = 0; c < source.channels; ++c) {
      if (!store(shift[c], dtype, out, c)) does_not_fit(source.layer, "the batch norm's shift", dtype);
    }
  };
  return request;
}

}  // namespace resnet::cuda
