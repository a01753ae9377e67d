#include <string_view>
#include <utility>

#include "backends/cpu/entries.hpp"
#include "backends/cpu/onednn.hpp"

namespace resnet::cpu {
namespace {

using dnnl::memory;

std::vector<NodeId> match(const Graph& graph, NodeId first) {
  if (graph.node(first).op->name == "dense") return {first};
  return {};
}

DenseProblem resolve(const StepProblem& problem) {
  const NodeShapes shapes(*problem.graph, problem.nodes[0], *problem.shapes);
  return dense_problem(shapes.view, problem.output_descs[0].dims);
}

Support supports(const StepProblem& problem, const DeviceInfo& device) {
  if (problem.node().epilogue.residual) return Support::no("has a residual");
  return supports_precision(problem.precision, device);
}

StepDescs descs(const StepProblem& problem, const DeviceInfo&) {
  StepDescs wanted;
  for (const bool input : {true, false}) {
    ValueDesc desc;
    desc.dims = (input ? problem.input_descs : problem.output_descs)[0].dims;
    desc.dtype = value_dtype(problem.precision);
    (input ? wanted.inputs : wanted.outputs).push_back(desc);
  }
  return wanted;
}

double estimate_us(const StepProblem& problem, const DeviceInfo& device) {
  const DenseProblem dense = resolve(problem);
  const auto weight_bytes = static_cast<std::size_t>(dense.K * dense.C) * sizeof(float);
  return estimate(dense.N * dense.C * dense.K, traffic(problem) + weight_bytes, problem.threads, device);
}

/// The operands of a dense layer in one of the two forms that oneDNN offers.
struct DenseForm {
  memory::desc source, target, weights, file_weights;
};

/// N x C features times K x C weights.
DenseForm inner_product_form(const StepProblem& problem, const DenseProblem& dense) {
  // The input is N x (positions x channels) in memory. Weights trained on channel-major features have their columns as
  // (channels x positions): the packing reorder turns them once.
  const AttrMap& attrs = problem.node().attrs;
  const bool channel_major = string_attr(attrs, "input_order") == "nchw";
  const std::int64_t channels = channel_major ? int_attr(attrs, "input_channels") : dense.C;
  const std::int64_t positions = dense.C / channels;
  const memory::dims dims{dense.K, channels, positions, 1};
  const memory::dims file_strides =
      channel_major ? memory::dims{dense.C, positions, 1, 1} : memory::dims{dense.C, 1, channels, channels};
  const auto dtype = to_dnnl(problem.input_descs[0].dtype);
  return {{{dense.N, channels, positions, 1}, dtype, memory::format_tag::nhwc},
          {{dense.N, dense.K}, to_dnnl(problem.output_descs[0].dtype), memory::format_tag::nc},
          {dims, dtype, memory::format_tag::any},
          {dims, memory::data_type::f32, file_strides}};
}

/// The same product as a 1x1 convolution over one picture of N columns: NHWC memory is the same N x C matrix.
DenseForm convolution_form(const StepProblem& problem, const DenseProblem& dense) {
  const auto dtype = to_dnnl(problem.input_descs[0].dtype);
  const memory::dims dims{dense.K, dense.C, 1, 1};
  return {{{1, dense.C, 1, dense.N}, dtype, memory::format_tag::nhwc},
          {{1, dense.K, 1, dense.N}, to_dnnl(problem.output_descs[0].dtype), memory::format_tag::nhwc},
          {dims, dtype, memory::format_tag::any},
          {dims, memory::data_type::f32, memory::format_tag::oihw}};
}

template <class Primitive>
std::unique_ptr<Step> make_step(const StepProblem& problem, const DenseForm& form,
                                const typename Primitive::primitive_desc& primitive) {
  const Node& node = problem.node();
  const auto& stages = node.epilogue.affine;
  const std::int64_t K = problem.output_descs[0].dims.c;
  const auto channels = static_cast<std::size_t>(K);
  std::vector<Operand> operands{{DNNL_ARG_SRC, form.source, Source::input, 0},
                                {DNNL_ARG_DST, form.target, Source::output, 0},
                                {DNNL_ARG_WEIGHTS, primitive.weights_desc(), Source::weight, 0}};
  std::vector<WeightRequest> weights{
      weight_request(node.weights[0], form.file_weights, primitive.weights_desc(), stages, channels, 1)};
  if (!stages.empty()) {
    const memory::desc bias({K}, memory::data_type::f32, memory::format_tag::a);
    operands.push_back({DNNL_ARG_BIAS, bias, Source::weight, 1});
    weights.push_back(affine_request(stages, channels, AffinePart::shift));
  }
  return std::make_unique<PrimitiveStep>(Primitive(primitive), operands, primitive.scratchpad_desc().get_size(),
                                         std::move(weights), primitive.impl_info_str());
}

std::unique_ptr<Step> prepare(const StepProblem& problem, const DeviceInfo&) {
  return guarded(problem, [&]() -> std::unique_ptr<Step> {
    const DenseProblem dense = resolve(problem);
    const bool affine = !problem.node().epilogue.affine.empty();
    const memory::desc bias({dense.K}, memory::data_type::f32, memory::format_tag::a);
    dnnl::post_ops ops;
    append_activation(ops, problem.node().epilogue.activation);
    const auto attr = attributes(ops);
    const auto kind = dnnl::prop_kind::forward_inference;

    const DenseForm form = inner_product_form(problem, dense);
    using InnerProduct = dnnl::inner_product_forward;
    const InnerProduct::primitive_desc product =
        affine ? InnerProduct::primitive_desc({kind, form.source, form.weights, bias, form.target}, attr, cpu_engine())
               : InnerProduct::primitive_desc({kind, form.source, form.weights, form.target}, attr, cpu_engine());
    // Where oneDNN would go through its GEMM, which allocates 16 KB in every call, a 1x1 convolution computes the same.
    const bool channel_major = string_attr(problem.node().attrs, "input_order") == "nchw" && form.source.dims()[2] > 1;
    const bool allocates = std::string_view(product.impl_info_str()).find("gemm:jit") != std::string_view::npos;
    if (channel_major || !allocates) return make_step<InnerProduct>(problem, form, product);

    const DenseForm other = convolution_form(problem, dense);
    using Convolution = dnnl::convolution_forward;
    const auto algorithm = dnnl::algorithm::convolution_direct;
    const memory::dims ones{1, 1}, zeros{0, 0};
    const Convolution::primitive_desc convolution =
        affine
            ? Convolution::primitive_desc(
                  {kind, algorithm, other.source, other.weights, bias, other.target, ones, zeros, zeros}, attr,
                  cpu_engine())
            : Convolution::primitive_desc(
                  {kind, algorithm, other.source, other.weights, other.target, ones, zeros, zeros}, attr, cpu_engine());
    return make_step<Convolution>(problem, other, convolution);
  });
}

}  // namespace

const Implementation dense{"onednn_inner_product", match, supports, estimate_us, descs, nullptr, prepare};

}  // namespace resnet::cpu
