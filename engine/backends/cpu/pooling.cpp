#include <algorithm>
#include <utility>

#include "backends/cpu/entries.hpp"
#include "backends/cpu/onednn.hpp"

namespace resnet::cpu {
namespace {

using dnnl::memory;

template <const char* op>
std::vector<NodeId> match(const Graph& graph, NodeId first) {
  if (graph.node(first).op->name == op) return {first};
  return {};
}

StepDescs descs(const StepProblem& problem, const DeviceInfo& device) {
  const DType dtype = value_dtype(problem.precision);
  return {{preferred(problem.input_descs[0].dims, dtype, device)},
          {preferred(problem.output_descs[0].dims, dtype, device)}};
}

double estimate_us(const StepProblem& problem, const DeviceInfo& device) {
  return estimate(0, traffic(problem), problem.threads, device);
}

Support supports_max(const StepProblem& problem, const DeviceInfo& device) {
  if (!problem.node().epilogue.empty()) return Support::no("has an epilogue");
  return supports_precision(problem.precision, device);
}

Support supports_avg(const StepProblem& problem, const DeviceInfo& device) {
  const AttrMap& attrs = problem.node().attrs;
  if (bool_attr(attrs, "ceil_mode") && bool_attr(attrs, "count_include_pad")) {
    return Support::no("oneDNN counts ceil-mode windows in full, PyTorch clips them to the padded input");
  }
  return supports_max(problem, device);
}

std::unique_ptr<Step> prepare_pool(const StepProblem& problem, const PoolProblem& pool) {
  return guarded(problem, [&]() -> std::unique_ptr<Step> {
    const auto source = to_dnnl(problem.input_descs[0]), target = to_dnnl(problem.output_descs[0]);
    const auto algorithm = pool.max                 ? dnnl::algorithm::pooling_max
                           : pool.count_include_pad ? dnnl::algorithm::pooling_avg_include_padding
                                                    : dnnl::algorithm::pooling_avg_exclude_padding;
    // The last window decides how much of the lower and right padding exists for oneDNN.
    const memory::dims after{std::max((pool.P - 1) * pool.stride_h + pool.R - pool.H - pool.pad_top, std::int64_t{0}),
                             std::max((pool.Q - 1) * pool.stride_w + pool.S - pool.W - pool.pad_left, std::int64_t{0})};
    const dnnl::pooling_forward::primitive_desc primitive({dnnl::prop_kind::forward_inference,
                                                           algorithm,
                                                           source,
                                                           target,
                                                           {pool.stride_h, pool.stride_w},
                                                           {pool.R, pool.S},
                                                           {pool.pad_top, pool.pad_left},
                                                           after},
                                                          attributes({}), cpu_engine());
    std::vector<Operand> operands{{DNNL_ARG_SRC, source, Source::input, 0}, {DNNL_ARG_DST, target, Source::output, 0}};
    return std::make_unique<PrimitiveStep>(dnnl::pooling_forward(primitive), operands,
                                           primitive.scratchpad_desc().get_size(), std::vector<WeightRequest>{},
                                           primitive.impl_info_str());
  });
}

template <bool max>
std::unique_ptr<Step> prepare(const StepProblem& problem, const DeviceInfo&) {
  const NodeShapes shapes(*problem.graph, problem.nodes[0], *problem.shapes);
  return prepare_pool(problem, pool_problem(shapes.view, problem.output_descs[0].dims, max));
}

std::unique_ptr<Step> prepare_global(const StepProblem& problem, const DeviceInfo&) {
  const Dims& in = problem.input_descs[0].dims;
  PoolProblem pool;
  std::tie(pool.N, pool.H, pool.W, pool.C) = std::tie(in.n, in.h, in.w, in.c);
  std::tie(pool.R, pool.S) = std::tie(in.h, in.w);
  pool.P = pool.Q = 1;
  pool.max = false;
  return prepare_pool(problem, pool);
}

constexpr char max_name[] = "max_pool", avg_name[] = "avg_pool", global_name[] = "global_avg_pool";

}  // namespace

const Implementation max_pool{"onednn_max_pool", match<max_name>, supports_max, estimate_us, descs,
                              nullptr,           prepare<true>};
const Implementation avg_pool{"onednn_avg_pool", match<avg_name>, supports_avg, estimate_us, descs,
                              nullptr,           prepare<false>};
const Implementation global_avg_pool{
    "onednn_global_avg_pool", match<global_name>, supports_max, estimate_us, descs, nullptr, prepare_global};

}  // namespace resnet::cpu
