// What fusion could not put into a convolution: sums, channel scales, batch norms and activations of their own.
#include <utility>

#include "backends/cpu/entries.hpp"
#include "backends/cpu/onednn.hpp"

namespace resnet::cpu {
namespace {

using dnnl::memory;

/// All operands of the output's size in the layout of the first; a channel scale N x 1 x 1 x C keeps its own.
StepDescs descs(const StepProblem& problem, const DeviceInfo& device) {
  const DType dtype = value_dtype(problem.precision);
  StepDescs wanted;
  for (const auto& desc : problem.input_descs) wanted.inputs.push_back(preferred(desc.dims, dtype, device));
  wanted.outputs = {preferred(problem.output_descs[0].dims, dtype, device)};
  return wanted;
}

double estimate_us(const StepProblem& problem, const DeviceInfo& device) {
  return estimate(0, traffic(problem), problem.threads, device);
}

/// In place where the first operand dies here and has the output's size.
std::vector<AliasRule> in_place(const StepProblem& problem) {
  if (problem.input_descs[0].dims != problem.output_descs[0].dims) return {};
  return {{0, 0, false}};
}

std::vector<NodeId> match_named(const Graph& graph, NodeId first, std::string_view name) {
  if (graph.node(first).op->name == name) return {first};
  return {};
}

std::unique_ptr<Step> make_binary(const StepProblem& problem, dnnl::algorithm algorithm, const memory::desc& second,
                                  std::vector<Operand> operands, std::vector<WeightRequest> weights,
                                  dnnl::post_ops ops) {
  const auto first = to_dnnl(problem.input_descs[0]), target = to_dnnl(problem.output_descs[0]);
  append_activation(ops, problem.node().epilogue.activation);
  const dnnl::binary::primitive_desc primitive({algorithm, first, second, target}, attributes(ops), cpu_engine());
  operands.push_back({DNNL_ARG_SRC_0, first, Source::input, 0});
  operands.push_back({DNNL_ARG_DST, target, Source::output, 0});
  return std::make_unique<PrimitiveStep>(dnnl::binary(primitive), operands, primitive.scratchpad_desc().get_size(),
                                         std::move(weights), primitive.impl_info_str());
}

Support supports_binary(const StepProblem& problem, const DeviceInfo& device) {
  if (problem.inputs.size() != 2) return Support::no("both operands are the same value");
  if (problem.input_descs[0].dims != problem.output_descs[0].dims) return Support::no("the first operand is broadcast");
  if (!problem.node().epilogue.affine.empty() || problem.node().epilogue.residual)
    return Support::no("has an affine epilogue");
  return supports_precision(problem.precision, device);
}

template <dnnl::algorithm algorithm>
std::unique_ptr<Step> prepare_binary(const StepProblem& problem, const DeviceInfo&) {
  return guarded(problem, [&] {
    const auto second = to_dnnl(problem.input_descs[1]);
    return make_binary(problem, algorithm, second, {{DNNL_ARG_SRC_1, second, Source::input, 1}}, {}, {});
  });
}

Support supports_scale_shift(const StepProblem& problem, const DeviceInfo& device) {
  if (problem.node().epilogue.affine.empty()) return Support::no("has no affine stage");
  if (problem.node().epilogue.residual) return Support::no("has a residual");
  return supports_precision(problem.precision, device);
}

std::unique_ptr<Step> prepare_scale_shift(const StepProblem& problem, const DeviceInfo&) {
  return guarded(problem, [&] {
    const auto& stages = problem.node().epilogue.affine;
    const std::int64_t C = problem.input_descs[0].dims.c;
    const memory::desc per_channel({1, C, 1, 1}, memory::data_type::f32, memory::format_tag::nchw);
    dnnl::post_ops ops;
    ops.append_binary(dnnl::algorithm::binary_add, per_channel);
    std::vector<Operand> operands{{DNNL_ARG_SRC_1, per_channel, Source::weight, 0},
                                  {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, per_channel, Source::weight, 1}};
    const auto channels = static_cast<std::size_t>(C);
    std::vector<WeightRequest> weights{affine_request(stages, channels, AffinePart::scale),
                                       affine_request(stages, channels, AffinePart::shift)};
    return make_binary(problem, dnnl::algorithm::binary_mul, per_channel, operands, std::move(weights), ops);
  });
}

std::vector<NodeId> match_activation(const Graph& graph, NodeId first) {
  const Node& node = graph.node(first);
  if (activation_of(*node.op, node.attrs)) return {first};
  return {};
}

Support supports_activation(const StepProblem& problem, const DeviceInfo& device) {
  if (!problem.node().epilogue.empty()) return Support::no("has an epilogue");
  return supports_precision(problem.precision, device);
}

std::unique_ptr<Step> prepare_activation(const StepProblem& problem, const DeviceInfo&) {
  return guarded(problem, [&]() -> std::unique_ptr<Step> {
    const auto desc = to_dnnl(problem.output_descs[0]);
    // The first eltwise of the activation is the primitive itself, the rest are its post-ops.
    dnnl::post_ops all, rest;
    append_activation(all, *activation_of(*problem.node().op, problem.node().attrs));
    float scale = 1, alpha = 0, beta = 0;
    dnnl::algorithm algorithm = dnnl::algorithm::undef;
    all.get_params_eltwise(0, scale, algorithm, alpha, beta);
    for (int i = 1; i < all.len(); ++i) {
      dnnl::algorithm next = dnnl::algorithm::undef;
      float next_alpha = 0, next_beta = 0;
      all.get_params_eltwise(i, scale, next, next_alpha, next_beta);
      rest.append_eltwise(scale, next, next_alpha, next_beta);
    }
    const dnnl::eltwise_forward::primitive_desc primitive(
        {dnnl::prop_kind::forward_inference, algorithm, desc, alpha, beta}, attributes(rest), cpu_engine());
    std::vector<Operand> operands{{DNNL_ARG_SRC, desc, Source::input, 0}, {DNNL_ARG_DST, desc, Source::output, 0}};
    return std::make_unique<PrimitiveStep>(dnnl::eltwise_forward(primitive), operands,
                                           primitive.scratchpad_desc().get_size(), std::vector<WeightRequest>{},
                                           primitive.impl_info_str());
  });
}

Support supports_softmax(const StepProblem& problem, const DeviceInfo& device) {
  if (!problem.node().epilogue.empty()) return Support::no("has an epilogue");
  const Dims& dims = problem.input_descs[0].dims;
  if (dims.h * dims.w != 1) return Support::no("spatial softmax");
  if (problem.precision != Precision::fp32) return Support::no("probabilities are computed in fp32");
  return supports_precision(problem.precision, device);
}

StepDescs softmax_descs(const StepProblem& problem, const DeviceInfo&) {
  ValueDesc desc;
  desc.dims = problem.input_descs[0].dims;
  return {{desc}, {desc}};
}

std::unique_ptr<Step> prepare_softmax(const StepProblem& problem, const DeviceInfo&) {
  return guarded(problem, [&]() -> std::unique_ptr<Step> {
    const auto desc = to_dnnl(problem.input_descs[0]);
    const dnnl::softmax_forward::primitive_desc primitive({dnnl::prop_kind::forward_inference, desc, 1}, attributes({}),
                                                          cpu_engine());
    std::vector<Operand> operands{{DNNL_ARG_SRC, desc, Source::input, 0}, {DNNL_ARG_DST, desc, Source::output, 0}};
    return std::make_unique<PrimitiveStep>(dnnl::softmax_forward(primitive), operands,
                                           primitive.scratchpad_desc().get_size(), std::vector<WeightRequest>{},
                                           primitive.impl_info_str());
  });
}

std::vector<NodeId> match_add(const Graph& graph, NodeId first) { return match_named(graph, first, "add"); }
std::vector<NodeId> match_mul(const Graph& graph, NodeId first) { return match_named(graph, first, "mul"); }
std::vector<NodeId> match_scale_shift(const Graph& graph, NodeId first) {
  return match_named(graph, first, "scale_shift");
}
std::vector<NodeId> match_softmax(const Graph& graph, NodeId first) { return match_named(graph, first, "softmax"); }

}  // namespace

const Implementation add{"onednn_add",
                         match_add,
                         supports_binary,
                         estimate_us,
                         descs,
                         in_place,
                         prepare_binary<dnnl::algorithm::binary_add>};
const Implementation mul{"onednn_mul",
                         match_mul,
                         supports_binary,
                         estimate_us,
                         descs,
                         in_place,
                         prepare_binary<dnnl::algorithm::binary_mul>};
const Implementation scale_shift{
    "onednn_scale_shift", match_scale_shift, supports_scale_shift, estimate_us, descs, in_place, prepare_scale_shift};
const Implementation activation{
    "onednn_activation", match_activation, supports_activation, estimate_us, descs, in_place, prepare_activation};
const Implementation softmax{"onednn_softmax", match_softmax, supports_softmax, estimate_us,
                             softmax_descs,    in_place,      prepare_softmax};

}  // namespace resnet::cpu
