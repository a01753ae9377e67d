// The kernels' catalog as entries of a backend: a node becomes a kernel problem, the rest is the catalog's.
#include "backends/cuda/kernel_entries.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "backends/cuda/op_problem.hpp"
#include "backends/cuda/runtime.hpp"
#include "base/check.hpp"
#include "base/dtype.hpp"
#include "kernels/kernel.hpp"

namespace resnet::cuda {

thread_local const RunTarget* run_target = nullptr;

namespace {

using kernels::Kernel;
using kernels::Problem;

/// Calls `use` with the problem of a convolution or a dense layer.
template <class Use>
void for_layers(Problem& problem, const Use& use) {
  if (auto* conv = std::get_if<ConvProblem>(&problem)) use(*conv);
  if (auto* dense = std::get_if<DenseProblem>(&problem)) use(*dense);
}

/// Place of a step's first operand among its inputs, which stand in the order of their first use.
constexpr std::size_t first_operand = 0;

/// The one that has the step's weights and epilogue.
const Node& last_node(const StepProblem& problem) { return problem.node(problem.nodes.size() - 1); }

/// A dense layer over the means of `x`.
PoolDenseProblem over_means(const DenseProblem& dense, const Dims& x) {
  return {x.n, x.h, x.w, x.c, dense.K, dense.in, dense.out, dense.precision, dense.epilogue};
}

}  // namespace

Problem kernel_problem(const StepProblem& problem) {
  const Node& node = last_node(problem);
  const NodeShapes shapes(*problem.graph, problem.nodes.back(), *problem.shapes);
  const NodeTypes types{problem.input_descs[0].dtype, problem.output_descs[0].dtype, problem.precision};
  Problem own = *op_problem(*node.op, shapes.view, problem.output_descs[0].dims, epilogue_problem(node), types);
  for_layers(own, [&](auto& layer) { layer.batch_invariant = problem.deterministic; });
  if (problem.nodes.size() > 1) return over_means(std::get<DenseProblem>(own), problem.input_descs[0].dims);
  return own;
}

std::size_t operand(const StepProblem& problem, std::size_t input) {
  const auto found = std::find(problem.inputs.begin(), problem.inputs.end(), last_node(problem).inputs[input]);
  return static_cast<std::size_t>(found - problem.inputs.begin());
}

ValueDesc plain_desc(const ValueDesc& from, DType dtype) {
  ValueDesc desc;
  desc.dims = from.dims;
  desc.dtype = dtype;
  return desc;
}

StepDescs kernel_descs(const StepProblem& problem, const DeviceInfo&) {
  const DType in = value_dtype(problem.precision);
  const Node& node = last_node(problem);
  const bool residual = node.epilogue.residual;
  const bool changes_type =
      can_change_type(*node.op) && !(residual && operand(problem, node.inputs.size() - 1) == first_operand);
  const DType out = changes_type && problem.output_descs[0].dtype == DType::f32 ? DType::f32 : in;
  StepDescs wanted;
  for (const ValueDesc& desc : problem.input_descs) wanted.inputs.push_back(plain_desc(desc, in));
  if (residual) wanted.inputs[operand(problem, node.inputs.size() - 1)].dtype = out;
  wanted.outputs = {plain_desc(problem.output_descs[0], out)};
  return wanted;
}

std::string filter_text(const StepProblem& problem, DType dtype) {
  const Node& node = last_node(problem);
  std::string text(to_string(dtype));
  char separator = ' ';
  for (const std::int64_t extent : *NodeShapes(*problem.graph, problem.nodes.back(), *problem.shapes).weights[0]) {
    text += separator + std::to_string(extent);
    separator = 'x';
  }
  if (node.op->name == "dense" && string_attr(node.attrs, "input_order") == "nchw") text += " from nchw";
  return text;
}

namespace {

/// The filter as the kernel packs it.
WeightRequest filter_request(const Kernel& kernel, const StepProblem& step, const Problem& problem) {
  const Node& node = last_node(step);
  const NodeShapes shapes(*step.graph, step.nodes.back(), *step.shapes);
  WeightRequest request;
  request.tensors = {node.weights[0]};
  request.format = "cuda " + std::string(kernel.weights.format) + ' ' + filter_text(step, step.input_descs[0].dtype);
  if (const auto* conv = std::get_if<ConvProblem>(&problem); conv && conv->groups > 1)
    request.format += " in " + std::to_string(conv->groups) + " groups";
  request.bytes = kernel.weights.bytes(problem);
  request.pack = [&kernel, problem, op = node.op, attrs = node.attrs, inputs = shapes.inputs,
                  shape = *shapes.weights[0]](std::span<const TensorValues> tensors, std::byte* out) {
    const TensorShape* const weights[] = {&shape};
    const OpShapes view{{}, &attrs, inputs, weights};
    kernel.weights.pack(problem, kernel_weights(*op, view, tensors[0].values), out);
  };
  return request;
}

/// Which of a step's weights is which operand.
struct WeightPlaces {
  int filter = -1, scale = -1, shift = -1;
};

class KernelStep final : public Step {
 public:
  KernelStep(const Kernel& kernel, const StepProblem& step, const DeviceInfo& device)
      : kernel_(kernel), problem_(kernel_problem(step)), device_(device), layer_(last_node(step).value_name()) {
    const Node& node = last_node(step);
    if (node.inputs.size() > 1) second_ = static_cast<int>(operand(step, 1));
    if (!node.weights.empty() && !node.weights[0].empty() && kernel.weights.bytes) {
      places_.filter = static_cast<int>(requests_.size());
      requests_.push_back(filter_request(kernel, step, problem_));
    }
    const EpilogueProblem epilogue = epilogue_problem(node);
    const auto channels = static_cast<std::size_t>(step.output_descs[0].dims.c);
    if (epilogue.scale) {
      places_.scale = static_cast<int>(requests_.size());
      requests_.push_back(affine_request(node.epilogue.affine, channels, AffinePart::scale));
    }
    if (epilogue.shift) {
      places_.shift = static_cast<int>(requests_.size());
      requests_.push_back(affine_request(node.epilogue.affine, channels, AffinePart::shift));
    }
  }

  std::size_t workspace_bytes() const override { return kernel_.workspace_bytes(problem_, device_); }
  std::span<const WeightRequest> weights() const override { return requests_; }

  void bind(const StepBuffers& buffers) override {
    const auto weight = [&](int place) {
      return place < 0 ? nullptr : buffers.weights[static_cast<std::size_t>(place)];
    };
    operands_.x = buffers.inputs[first_operand];
    operands_.second = second_ < 0 ? nullptr : buffers.inputs[static_cast<std::size_t>(second_)];
    operands_.weight = weight(places_.filter);
    operands_.scale = reinterpret_cast<const float*>(weight(places_.scale));
    operands_.shift = reinterpret_cast<const float*>(weight(places_.shift));
    operands_.y = buffers.outputs[0];
    operands_.workspace = buffers.workspace;
  }

  void run() override {
    operands_.semaphores = run_target->semaphores;
    const cudaError_t error = kernel_.launch(problem_, operands_, {run_target->stream, &device_});
    if (error != cudaSuccess) [[unlikely]]
      check(error, "launching " + std::string(kernel_.name) + " for layer '" + layer_ + '\'', device_.index);
  }

  std::string detail() const override { return kernels::to_string(problem_); }

 private:
  const Kernel& kernel_;
  Problem problem_;
  const DeviceInfo& device_;
  std::string layer_;
  int second_ = -1;
  WeightPlaces places_;
  std::vector<WeightRequest> requests_;
  kernels::Operands operands_;
};

/// A global average pooling and a dense layer that reads it.
std::vector<NodeId> match_pool_dense(const Graph& graph, NodeId first) {
  const Node& pool = graph.node(first);
  if (pool.op->name != "global_avg_pool" || !pool.epilogue.empty()) return {};
  for (NodeId id = first + 1; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op->name == "dense" && node.inputs.size() == 1 && node.inputs[0] == first) return {first, id};
  }
  return {};
}

/// An Implementation holds functions without context: these know their kernel by its place in the catalog.
template <std::size_t line>
struct Entry {
  static const Kernel& kernel() { return *kernels::catalog()[line]; }

  static std::vector<NodeId> match(const Graph& graph, NodeId first) {
    if (kernel().kind == kernels::problem_kind<PoolDenseProblem>) return match_pool_dense(graph, first);
    const Node& node = graph.node(first);
    const auto kind = problem_kind(*node.op, node.attrs);
    return kind && *kind == kernel().kind ? std::vector<NodeId>{first} : std::vector<NodeId>{};
  }
  /// Asked before descs(), with the problem's own descriptors.
  static Support supports(const StepProblem& problem, const DeviceInfo& device) {
    if (problem.outputs.size() > 1) return Support::no("other layers read the means");
    if (problem.nodes.size() > 1 && problem.deterministic)
      return Support::no("larger batches are pooled in a step of their own (deterministic)");
    StepProblem wanted = problem;
    StepDescs chosen = kernel_descs(problem, device);
    wanted.input_descs = std::move(chosen.inputs);
    wanted.output_descs = std::move(chosen.outputs);
    return kernel().supports(kernel_problem(wanted), device);
  }
  static double estimate_us(const StepProblem& problem, const DeviceInfo& device) {
    Problem own = kernel_problem(problem);
    // The choice of the kernel must not depend on the batch either.
    if (problem.deterministic) for_layers(own, [](auto& layer) { layer.N = 1; });
    return kernel().estimate_us(own, device);
  }
  static std::unique_ptr<Step> prepare(const StepProblem& problem, const DeviceInfo& device) {
    return std::make_unique<KernelStep>(kernel(), problem, device);
  }
  static Implementation make() { return {kernel().name, match, supports, estimate_us, kernel_descs, nullptr, prepare}; }
};

constexpr std::size_t most_kernels = 64;

template <std::size_t... line>
std::vector<Implementation> make_entries(std::index_sequence<line...>) {
  using Make = Implementation (*)();
  static constexpr std::array<Make, sizeof...(line)> makers{Entry<line>::make...};
  const std::size_t count = kernels::catalog().size();
  ensure(count <= makers.size(), "the kernels' catalog has more lines than kernel_entries.cpp has entries");
  std::vector<Implementation> entries;
  for (std::size_t i = 0; i < count; ++i) entries.push_back(makers[i]());
  return entries;
}

const Kernel& convert_kernel() {
  static const Kernel* const kernel = kernels::find_kernel("convert");
  return *kernel;
}

ConvertProblem convert_problem(const StepProblem& problem) {
  ConvertProblem convert;
  convert.in = problem.input_descs[0];
  convert.out = problem.output_descs[0];
  return convert;
}

class ConvertStep final : public Step {
 public:
  ConvertStep(const ConvertProblem& problem, const DeviceInfo& device) : problem_(problem), device_(device) {}
  /// With factors and summands per channel, which the step keeps: scale[C], then shift[C].
  ConvertStep(const ConvertProblem& problem, const DeviceInfo& device, std::unique_ptr<DeviceBuffer> affine)
      : problem_(problem), device_(device), affine_(std::move(affine)) {
    operands_.scale = reinterpret_cast<const float*>(affine_->data());
    operands_.shift = operands_.scale + problem.in.dims.c;
  }
  void bind(const StepBuffers& buffers) override {
    operands_.x = buffers.inputs[0];
    operands_.y = buffers.outputs[0];
  }
  void run() override {
    check(convert_kernel().launch(problem_, operands_, {run_target->stream, &device_}), "launching convert",
          device_.index);
  }
  std::string detail() const override { return kernels::to_string(problem_); }

 private:
  Problem problem_;
  const DeviceInfo& device_;
  std::unique_ptr<DeviceBuffer> affine_;
  kernels::Operands operands_;
};

Support supports_conversion(const StepProblem& problem, const DeviceInfo& device) {
  if (problem.input_descs[0].dims != problem.output_descs[0].dims) return Support::no("sizes differ");
  return convert_kernel().supports(convert_problem(problem), device);
}

double estimate_conversion_us(const StepProblem& problem, const DeviceInfo& device) {
  return convert_kernel().estimate_us(convert_problem(problem), device);
}

std::unique_ptr<Step> prepare_conversion(const StepProblem& problem, const DeviceInfo& device) {
  return std::make_unique<ConvertStep>(convert_problem(problem), device);
}

}  // namespace

std::unique_ptr<Step> make_affine_conversion(const ValueDesc& from, const ValueDesc& to, std::span<const float> scale,
                                             std::span<const float> shift, const DeviceInfo& device,
                                             DeviceAllocator& allocator) {
  ConvertProblem problem;
  problem.in = from, problem.out = to, problem.scale_shift = true;
  if (!convert_kernel().supports(problem, device)) return nullptr;
  std::vector<float> both(scale.begin(), scale.end());
  both.insert(both.end(), shift.begin(), shift.end());
  auto buffer = allocator.allocate(both.size() * sizeof(float));
  allocator.upload(buffer->data(), reinterpret_cast<const std::byte*>(both.data()), buffer->size());
  return std::make_unique<ConvertStep>(problem, device, std::move(buffer));
}

const Implementation conversion{"convert", nullptr, supports_conversion, estimate_conversion_us,
                                nullptr,   nullptr, prepare_conversion};

std::span<const Implementation* const> kernel_entries() {
  static const std::vector<Implementation> entries = make_entries(std::make_index_sequence<most_kernels>());
  static const std::vector<const Implementation*> list = [] {
    std::vector<const Implementation*> pointers;
    for (const Implementation& entry : entries) pointers.push_back(&entry);
    return pointers;
  }();
  return list;
}

}  // namespace resnet::cuda
