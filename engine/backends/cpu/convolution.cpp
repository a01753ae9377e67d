#include <algorithm>
#include <utility>
#include <vector>

#include "backends/cpu/entries.hpp"
#include "backends/cpu/onednn.hpp"

namespace resnet::cpu {
namespace {

using dnnl::memory;

std::vector<NodeId> match(const Graph& graph, NodeId first) {
  if (graph.node(first).op->name == "conv2d") return {first};
  return {};
}

ConvProblem resolve(const StepProblem& problem) {
  const NodeShapes shapes(*problem.graph, problem.nodes[0], *problem.shapes);
  return conv_problem(shapes.view, problem.output_descs[0].dims);
}

/// Groups narrower than a vector have no jit kernel (ResNeXt's 32 x 4 ran fourteen times slower): so many neighbours
/// become one group of eight channels, with zeros where they do not meet. 1 = the groups stay as they are.
std::int64_t merged_groups(const ConvProblem& conv) {
  const std::int64_t width = conv.C / conv.groups;
  if (conv.groups == 1 || width == 1 || width >= 8 || 8 % width != 0) return 1;
  if (conv.K / conv.groups != width || conv.C % 8 != 0) return 1;
  return 8 / width;
}

/// Index into StepProblem::inputs of the residual; -1 when the node has none.
int residual_input(const StepProblem& problem) {
  if (!problem.node().epilogue.residual) return -1;
  const NodeId residual = problem.node().inputs.back();
  for (std::size_t i = 0; i < problem.inputs.size(); ++i) {
    if (problem.inputs[i] == residual) return static_cast<int>(i);
  }
  return -1;
}

/// Whether the packed weights carry the batch norm's scale. Weights of 32 bits are rounded once either way; those that
/// are 16-bit in the file stay as trained when computing in 16 bits, and the scale becomes a post-op, which costs time.
bool scale_in_weights(const StepProblem& problem) {
  return problem.precision == Precision::fp32 ||
         problem.graph->tensors.at(problem.node().weights[0]).dtype == DType::f32;
}

Support supports(const StepProblem& problem, const DeviceInfo& device) {
  if (Support precise = supports_precision(problem.precision, device); !precise) return precise;
  return Support::yes();
}

Support supports_into_residual(const StepProblem& problem, const DeviceInfo& device) {
  const int residual = residual_input(problem);
  if (residual < 0) return Support::no("has no residual");
  if (residual == 0) return Support::no("the residual is the convolution's own input");
  if (!scale_in_weights(problem))
    return Support::no("16-bit weights keep their scale in a post-op before the residual");
  return supports(problem, device);
}

std::vector<AliasRule> residual_alias(const StepProblem& problem) { return {{0, residual_input(problem), true}}; }

/// Layouts of input and output for which oneDNN 2.6 has a jit kernel; any other pair falls to loops that take a
/// thousand times as long. NHWC on both sides always has one.
std::pair<LayoutId, LayoutId> layouts(const ConvProblem& conv, const DeviceInfo& device) {
  const LayoutId out = preferred_layout(conv.K, device);
  if (out == LayoutId::nhwc) return {LayoutId::nhwc, LayoutId::nhwc};
  if (conv.C <= 4 && conv.groups == 1) return {LayoutId::nchw, out};  // the stem's own kernel
  const bool depthwise = conv.groups == conv.C && conv.groups == conv.K;
  const bool whole_blocks = conv.C % 8 == 0 && (depthwise || merged_groups(conv) > 1 ||
                                                (conv.C / conv.groups % 8 == 0 && conv.K / conv.groups % 8 == 0));
  return whole_blocks ? std::pair{out, out} : std::pair{LayoutId::nhwc, LayoutId::nhwc};
}

StepDescs descs(const StepProblem& problem, const DeviceInfo& device) {
  const auto [in, out] = layouts(resolve(problem), device);
  const auto with = [&](const ValueDesc& from, LayoutId layout) {
    ValueDesc desc;
    desc.dims = from.dims;
    desc.dtype = value_dtype(problem.precision);
    desc.layout = layout;
    return desc;
  };
  StepDescs wanted;
  wanted.inputs = {with(problem.input_descs[0], in)};
  wanted.outputs = {with(problem.output_descs[0], out)};
  for (std::size_t i = 1; i < problem.input_descs.size(); ++i) wanted.inputs.push_back(wanted.outputs[0]);
  return wanted;
}

double estimate_us(const StepProblem& problem, const DeviceInfo& device) {
  const ConvProblem conv = resolve(problem);
  const auto weight_bytes = static_cast<std::size_t>(conv.K * conv.R * conv.S * conv.C / conv.groups) * sizeof(float);
  return estimate(conv.macs(), traffic(problem) + weight_bytes, problem.threads, device);
}

/// An extra pass over the residual that the in-place form saves.
double estimate_with_operand_us(const StepProblem& problem, const DeviceInfo& device) {
  const double base = estimate_us(problem, device);
  return residual_input(problem) < 0 ? base : base * 1.02 + 1.0;
}

/// Logical weight dimensions with groups in front where there are several, and the strides of the file's KRSC order.
struct WeightDescs {
  memory::dims dims, file_strides;
};
WeightDescs weight_descs(const ConvProblem& p) {
  const std::int64_t C = p.C / p.groups, K = p.K / p.groups;
  if (p.groups == 1) return {{K, C, p.R, p.S}, {p.R * p.S * C, 1, p.S * C, C}};
  return {{p.groups, K, C, p.R, p.S}, {K * p.R * p.S * C, p.R * p.S * C, 1, p.S * C, C}};
}

/// Makes a packing task read weights of narrow groups [K, R, S, C / (groups x merged)] as those of the merged groups.
void spread_groups(WeightRequest& request, const ConvProblem& conv, std::int64_t merged) {
  request.format += " groups merged by " + std::to_string(merged);
  const auto taps = static_cast<std::size_t>(conv.R * conv.S), K = static_cast<std::size_t>(conv.K);
  const auto wide = static_cast<std::size_t>(conv.C / conv.groups), narrow = wide / static_cast<std::size_t>(merged);
  request.pack = [pack = std::move(request.pack), taps, K, wide, narrow](std::span<const TensorValues> tensors,
                                                                         std::byte* out) {
    std::vector<float> spread(K * taps * wide);
    for (std::size_t row = 0; row < K * taps; ++row) {
      const std::size_t k = row / taps, first = k % wide / narrow * narrow;
      std::copy_n(tensors[0].values.data() + row * narrow, narrow, spread.data() + row * wide + first);
    }
    std::vector<TensorValues> replaced(tensors.begin(), tensors.end());
    replaced[0].values = spread;
    pack(replaced, out);
  };
}

std::unique_ptr<Step> prepare_convolution(const StepProblem& problem, bool into_residual) {
  return guarded(problem, [&]() -> std::unique_ptr<Step> {
    ConvProblem conv = resolve(problem);
    const std::int64_t merged = merged_groups(conv);
    conv.groups /= merged;
    const Node& node = problem.node();
    const auto& stages = node.epilogue.affine;
    const auto K = static_cast<std::size_t>(conv.K);
    const auto source = to_dnnl(problem.input_descs[0]), target = to_dnnl(problem.output_descs[0]);
    const auto [dims, file_strides] = weight_descs(conv);
    const int channel_dims = conv.groups == 1 ? 1 : 2;

    const bool folded = scale_in_weights(problem);
    std::vector<WeightRequest> weights;
    dnnl::post_ops ops;
    std::vector<Operand> operands{{DNNL_ARG_SRC, source, Source::input, 0}, {DNNL_ARG_DST, target, Source::output, 0}};
    if (!folded && !stages.empty()) append_scale_shift(ops, stages, conv.K, operands, weights);
    if (const int residual = residual_input(problem); into_residual) {
      ops.append_sum(1.0f);
    } else if (residual >= 0) {
      const auto desc = to_dnnl(problem.input_descs[static_cast<std::size_t>(residual)]);
      ops.append_binary(dnnl::algorithm::binary_add, desc);
      operands.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(ops.len() - 1) | DNNL_ARG_SRC_1, desc, Source::input,
                          static_cast<std::size_t>(residual)});
    }
    append_activation(ops, node.epilogue.activation);

    const memory::desc any(dims, source.data_type(), memory::format_tag::any);
    const memory::desc bias({conv.K}, memory::data_type::f32, memory::format_tag::a);
    const memory::dims strides{conv.stride_h, conv.stride_w}, dilation{conv.dilation_h - 1, conv.dilation_w - 1};
    // The last window decides how much of the lower and right padding exists for oneDNN.
    const auto end = [](std::int64_t out, std::int64_t stride, std::int64_t kernel, std::int64_t dilated,
                        std::int64_t in,
                        std::int64_t begin) { return (out - 1) * stride + (kernel - 1) * dilated + 1 - in - begin; };
    const memory::dims before{conv.pad_top, conv.pad_left};
    const memory::dims after{
        std::max(end(conv.P, conv.stride_h, conv.R, conv.dilation_h, conv.H, conv.pad_top), std::int64_t{0}),
        std::max(end(conv.Q, conv.stride_w, conv.S, conv.dilation_w, conv.W, conv.pad_left), std::int64_t{0})};
    const auto kind = dnnl::prop_kind::forward_inference;
    const auto algorithm = dnnl::algorithm::convolution_direct;
    const auto attr = attributes(ops);
    using Convolution = dnnl::convolution_forward;
    const bool with_bias = folded && !stages.empty();
    const Convolution::primitive_desc primitive =
        !with_bias
            ? Convolution::primitive_desc({kind, algorithm, source, any, target, strides, dilation, before, after},
                                          attr, cpu_engine())
            : Convolution::primitive_desc(
                  {kind, algorithm, source, any, bias, target, strides, dilation, before, after}, attr, cpu_engine());

    const memory::desc file(dims, memory::data_type::f32, file_strides);
    operands.push_back({DNNL_ARG_WEIGHTS, primitive.weights_desc(), Source::weight, weights.size()});
    weights.push_back(weight_request(node.weights[0], file, primitive.weights_desc(),
                                     folded ? std::span<const AffineStage>(stages) : std::span<const AffineStage>(), K,
                                     channel_dims));
    if (merged > 1) spread_groups(weights.back(), conv, merged);
    if (with_bias) {
      operands.push_back({DNNL_ARG_BIAS, bias, Source::weight, weights.size()});
      weights.push_back(affine_request(stages, K, AffinePart::shift));
    }
    return std::make_unique<PrimitiveStep>(Convolution(primitive), operands, primitive.scratchpad_desc().get_size(),
                                           std::move(weights), primitive.impl_info_str());
  });
}

std::unique_ptr<Step> prepare(const StepProblem& problem, const DeviceInfo&) {
  return prepare_convolution(problem, false);
}
std::unique_ptr<Step> prepare_into_residual(const StepProblem& problem, const DeviceInfo&) {
  return prepare_convolution(problem, true);
}

}  // namespace

const Implementation convolution_into_residual{"onednn_convolution_into_residual",
                                               match,
                                               supports_into_residual,
                                               estimate_us,
                                               descs,
                                               residual_alias,
                                               prepare_into_residual};
const Implementation convolution{
    "onednn_convolution", match, supports, estimate_with_operand_us, descs, nullptr, prepare};

}  // namespace resnet::cpu
