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

std::unique_ptr<Step> prepare(const StepProblem& problem, const DeviceInfo&) {
  return guarded(problem, [&]() -> std::unique_ptr<Step> {
    const DenseProblem dense = resolve(problem);
    const Node& node = problem.node();
    const auto& stages = node.epilogue.affine;
    const auto K = static_cast<std::size_t>(dense.K);
    // The input is N x (positions x channels) in memory. Weights trained on channel-major features have their columns as
    // (channels x positions): the packing reorder turns them once.
    const bool channel_major = string_attr(node.attrs, "input_order") == "nchw";
    const std::int64_t channels = channel_major ? int_attr(node.attrs, "input_channels") : dense.C;
    const std::int64_t positions = dense.C / channels;
    const memory::dims weight_dims{dense.K, channels, positions, 1};
    const memory::dims file_strides = channel_major ? memory::dims{dense.C, positions, 1, 1}
                                                    : memory::dims{dense.C, 1, channels, channels};
    const auto dtype = to_dnnl(problem.input_descs[0].dtype);
    const memory::desc source({dense.N, channels, positions, 1}, dtype, memory::format_tag::nhwc);
    const memory::desc target({dense.N, dense.K}, to_dnnl(problem.output_descs[0].dtype), memory::format_tag::nc);
    const memory::desc any(weight_dims, dtype, memory::format_tag::any);
    const memory::desc bias({dense.K}, memory::data_type::f32, memory::format_tag::a);
    const memory::desc file(weight_dims, memory::data_type::f32, file_strides);

    dnnl::post_ops ops;
    append_activation(ops, node.epilogue.activation);
    const auto kind = dnnl::prop_kind::forward_inference;
    using InnerProduct = dnnl::inner_product_forward;
    const InnerProduct::primitive_desc primitive =
        stages.empty() ? InnerProduct::primitive_desc({kind, source, any, target}, attributes(ops), cpu_engine())
                       : InnerProduct::primitive_desc({kind, source, any, bias, target}, attributes(ops), cpu_engine());
    std::vector<Operand> operands{{DNNL_ARG_SRC, source, Source::input, 0},
                                  {DNNL_ARG_DST, target, Source::output, 0},
                                  {DNNL_ARG_WEIGHTS, primitive.weights_desc(), Source::weight, 0}};
    std::vector<WeightRequest> weights{weight_request(node.weights[0], file, primitive.weights_desc(), stages, K, 1)};
    if (!stages.empty()) {
      operands.push_back({DNNL_ARG_BIAS, bias, Source::weight, 1});
      weights.push_back(channel_request(stages, K, false));
    }
    return std::make_unique<PrimitiveStep>(InnerProduct(primitive), std::move(operands), primitive.scratchpad_desc().get_size(),
                                           std::move(weights), primitive.impl_info_str());
  });
}

}  // namespace

const Implementation dense{"onednn_inner_product", match, supports, estimate_us, descs, nullptr, prepare};

}  // namespace resnet::cpu
