#include "backends/cuda/library_entries.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/cuda/kernel_entries.hpp"
#include "backends/cuda/libraries.hpp"
#include "backends/cuda/library_session.hpp"
#include "backends/cuda/library_weights.hpp"
#include "backends/cuda/plan_choice.hpp"
#include "backends/cuda/runtime.hpp"
#include "base/check.hpp"
#include "base/dtype.hpp"
#include "kernels/compiled_for.hpp"
#include "kernels/cuda_api.hpp"
#include "kernels/estimate.hpp"

namespace resnet::cuda {
namespace {

/// Part of the tensor cores' (or FMA units') rate that a tile is taken to reach. An assumption: no measurement of these
/// libraries is committed yet; tables of measured times replace the estimate.
constexpr double assumed_efficiency = 0.6;

StepProblem with_descs(const StepProblem& problem, StepDescs descs) {
  StepProblem wanted = problem;
  wanted.input_descs = std::move(descs.inputs);
  wanted.output_descs = std::move(descs.outputs);
  return wanted;
}

/// What holds for both libraries.
Support usable(const char* name, const LibraryInfo& library, const StepProblem& problem, const DeviceInfo& device) {
  if (library.version == 0)
    return Support::no(library.missing.empty() ? std::string(name) + " is not loaded" : library.missing);
  if (const int oldest = kernels::oldest_sm_of(problem.precision); device.sm < oldest) {
    return Support::no(std::string(to_string(problem.precision)) + " needs sm_" + std::to_string(oldest) +
                       ", the device is sm_" + std::to_string(device.sm));
  }
  if (problem.deterministic)
    return Support::no("another batch size may get another plan, which sums in another order (deterministic)");
  return Support::yes();
}

/// Time of a matrix product of `rows` x `columns` in tiles of the better of two sizes, one tile a multiprocessor.
double product_us(const DeviceInfo& device, Precision precision, std::int64_t products, std::int64_t rows,
                  std::int64_t columns, double depth, double bytes) {
  double best = 0;
  for (const std::int64_t side : {128, 64}) {
    const auto tiles = static_cast<double>(products * ((rows + side - 1) / side) * ((columns + side - 1) / side));
    const double macs = static_cast<double>(side * side) * depth;
    const double us = kernels::tiled_us(device, precision, tiles, macs, 1, assumed_efficiency, bytes);
    if (best == 0 || us < best) best = us;
  }
  return best;
}

std::vector<NodeId> match_op(const Graph& graph, NodeId first, std::string_view op) {
  return graph.node(first).op->name == op ? std::vector<NodeId>{first} : std::vector<NodeId>{};
}

/// Says which layer a library's error belongs to.
template <class Call>
auto for_layer(const std::string& layer, int device, const Call& call) {
  try {
    return call();
  } catch (const Error& error) {
    fail(error.code(), error.message(), "layer '" + layer + "' on " + device_text(device), error.next());
  }
}

/// Zeros in device memory for measuring, in pieces of 256-byte alignment.
class Scratch {
 public:
  Scratch(DeviceAllocator& allocator, int device, std::initializer_list<std::size_t> sizes) {
    std::size_t total = 0;
    for (const std::size_t size : sizes) {
      offsets_.push_back(total);
      total += (size + 255) / 256 * 256;
    }
    buffer_ = allocator.allocate(total);
    const DeviceScope scope(device);
    check(cuda_api().cudaMemset(buffer_->data(), 0, total), "clearing scratch memory", device);
    check(cuda_api().cudaDeviceSynchronize(), "clearing scratch memory", device);
  }
  std::byte* operator[](std::size_t piece) const { return buffer_->data() + offsets_[piece]; }

 private:
  std::vector<std::size_t> offsets_;
  std::unique_ptr<DeviceBuffer> buffer_;
};

// --- cuDNN -----------------------------------------------------------------------------------------------------------

ConvProblem conv_of(const StepProblem& problem) { return std::get<ConvProblem>(kernel_problem(problem)); }

/// cuDNN's pre-compiled engines want one type.
StepDescs conv_descs(const StepProblem& problem, const DeviceInfo&) {
  const DType dtype = value_dtype(problem.precision);
  StepDescs wanted;
  for (const ValueDesc& desc : problem.input_descs) wanted.inputs.push_back(plain_desc(desc, dtype));
  wanted.outputs = {plain_desc(problem.output_descs[0], dtype)};
  return wanted;
}

class CudnnStep final : public Step {
 public:
  CudnnStep(const StepProblem& step, const DeviceInfo& device, CudnnForm form)
      : session_(LibrarySession::of(device)),
        problem_(conv_of(step)),
        form_(form),
        layer_(step.node().value_name()),
        device_(device.index),
        x_(operand(step, 0)) {
    if (problem_.epilogue.residual) residual_ = operand(step, step.node().inputs.size() - 1);
    const bool folded = form == CudnnForm::folded;
    requests_.push_back(library_filter(step, problem_.in, folded));
    if (!folded && problem_.epilogue.scale) {
      scale_ = requests_.size();
      requests_.push_back(
          affine_request(step.node().epilogue.affine, static_cast<std::size_t>(problem_.K), AffinePart::scale));
    }
    if (cudnn_reads_shift(problem_, form)) {
      shift_ = requests_.size();
      requests_.push_back(library_shift(step, folded ? problem_.in : DType::f32));
    }
    for_layer(layer_, device_, [&] { choose(device); });
  }

  std::size_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  std::span<const WeightRequest> weights() const override { return requests_; }

  void bind(const StepBuffers& buffers) override {
    const auto weight = [&](std::optional<std::size_t> place) { return place ? buffers.weights[*place] : nullptr; };
    CudnnOperands at;
    at.x = buffers.inputs[x_], at.w = buffers.weights[0], at.scale = weight(scale_), at.shift = weight(shift_);
    if (residual_) at.residual = buffers.inputs[*residual_];
    at.y = buffers.outputs[0], at.workspace = buffers.workspace;
    for_layer(layer_, device_, [&] { plan_->bind(at); });
  }

  void run() override {
    for_layer(layer_, device_, [&] { enqueue(); });
  }

  std::string detail() const override { return kernels::to_string(problem_) + " by " + name_; }

 private:
  void enqueue() {
    CudnnHandle& handle = session_.cudnn();
    handle.set_stream(run_target->stream);
    plan_->run(handle.get());
  }

  void choose(const DeviceInfo& device) {
    const DeviceScope scope(device_);
    plan_.emplace(problem_, form_, CudnnDevice{session_.cudnn().get(), {}, device.sm});
    PlanOffer offer;
    for (const CudnnChoice& choice : plan_->choices()) offer.names.push_back(choice.name);
    offer.build = [&](std::size_t choice) { plan_->build(choice); };
    offer.measure_us = [&] { return measure_us(); };
    if (form_ == CudnnForm::exact) offer.most_measured = 3;  // each is compiled for it
    const std::string problem = kernels::to_string(problem_) + ' ' + std::string(to_string(problem_.precision)) + ' ' +
                                std::string(to_string(form_));
    const std::string library = "cuDNN " + library_version_text(device.cudnn.version);
    name_ = offer.names[choose_plan(result_cache(), plan_key(library, device, session_.driver(), problem), offer)];
  }

  double measure_us() {
    const ConvProblem& p = problem_;
    const std::size_t in = size_of(p.in), out = size_of(p.out), channels = static_cast<std::size_t>(p.K) * 4;
    const auto bytes = [](std::int64_t elements, std::size_t size) {
      return static_cast<std::size_t>(elements) * size;
    };
    const std::size_t y = bytes(p.N * p.P * p.Q * p.K, out);
    const Scratch scratch(session_.backend().allocator(), device_,
                          {bytes(p.N * p.H * p.W * p.C, in), bytes(p.K * p.R * p.S * (p.C / p.groups), in), channels,
                           channels, p.epilogue.residual ? y : 0, y, plan_->workspace_bytes()});
    CudnnOperands at{scratch[0], scratch[1], nullptr, nullptr, nullptr, scratch[5], scratch[6]};
    if (scale_) at.scale = scratch[2];
    if (shift_) at.shift = scratch[3];
    if (residual_) at.residual = scratch[4];
    plan_->bind(at);
    return measure_enqueued_us(session_.backend(), [&] { enqueue(); });
  }

  LibrarySession& session_;
  ConvProblem problem_;
  CudnnForm form_;
  std::string layer_, name_;
  int device_;
  std::size_t x_;
  std::optional<std::size_t> residual_, scale_, shift_;  ///< among the inputs; among the weights
  std::vector<WeightRequest> requests_;
  std::optional<CudnnConv> plan_;
};

template <CudnnForm form>
struct Conv {
  static std::vector<NodeId> match(const Graph& graph, NodeId first) { return match_op(graph, first, "conv2d"); }
  static Support supports(const StepProblem& problem, const DeviceInfo& device) {
    if (Support support = usable("cuDNN", device.cudnn, problem, device); !support) return support;
    if (Support support = cudnn_built_in(); !support) return support;
    if (form == CudnnForm::exact && !device.cudnn_no_compiler.empty()) return Support::no(device.cudnn_no_compiler);
    return cudnn_can_express(conv_of(with_descs(problem, conv_descs(problem, device))));
  }
  static double estimate_us(const StepProblem& problem, const DeviceInfo& device) {
    const ConvProblem p = conv_of(problem);
    return product_us(device, p.precision, p.groups, p.N * p.P * p.Q, p.K / p.groups,
                      static_cast<double>(p.R * p.S * (p.C / p.groups)), kernels::least_bytes(p));
  }
  static std::unique_ptr<Step> prepare(const StepProblem& problem, const DeviceInfo& device) {
    return std::make_unique<CudnnStep>(problem, device, form);
  }
};

// --- cuBLASLt --------------------------------------------------------------------------------------------------------

DenseProblem dense_of(const StepProblem& problem) { return std::get<DenseProblem>(kernel_problem(problem)); }

class CublasltStep final : public Step {
 public:
  CublasltStep(const StepProblem& step, const DeviceInfo& device)
      : session_(LibrarySession::of(device)),
        problem_(dense_of(step)),
        layer_(step.node().value_name()),
        device_(device.index) {
    requests_.push_back(library_filter(step, problem_.in, true));
    if (problem_.epilogue.shift) requests_.push_back(library_shift(step, problem_.out));
    for_layer(layer_, device_, [&] { choose(device); });
  }

  std::size_t workspace_bytes() const override { return product_->workspace_bytes(); }
  std::span<const WeightRequest> weights() const override { return requests_; }
  void bind(const StepBuffers& buffers) override {
    const std::byte* const bias = problem_.epilogue.shift ? buffers.weights[1] : nullptr;
    for_layer(layer_, device_, [&] {
      product_->bind({buffers.inputs[0], buffers.weights[0], bias, buffers.outputs[0], buffers.workspace});
    });
  }
  void run() override {
    for_layer(layer_, device_, [&] { product_->run(run_target->stream); });
  }
  std::string detail() const override { return kernels::to_string(problem_) + " by " + name_; }

 private:
  void choose(const DeviceInfo& device) {
    const DeviceScope scope(device_);
    product_.emplace(problem_, session_.cublaslt());
    PlanOffer offer;
    offer.names = product_->choices();
    offer.build = [&](std::size_t choice) { product_->use(choice); };
    offer.measure_us = [&] { return measure_us(); };
    const std::string problem = kernels::to_string(problem_) + ' ' + std::string(to_string(problem_.precision));
    const std::string library = "cuBLASLt " + library_version_text(device.cublaslt.version);
    const std::size_t best = choose_plan(result_cache(), plan_key(library, device, session_.driver(), problem), offer);
    name_ = "algorithm " + std::to_string(best) + " of " + std::to_string(offer.names.size());
  }

  double measure_us() {
    const DenseProblem& p = problem_;
    const auto bytes = [](std::int64_t elements, DType dtype) {
      return static_cast<std::size_t>(elements) * size_of(dtype);
    };
    const Scratch scratch(session_.backend().allocator(), device_,
                          {bytes(p.N * p.C, p.in), bytes(p.K * p.C, p.in), bytes(p.K, p.out), bytes(p.N * p.K, p.out),
                           product_->workspace_bytes()});
    product_->bind({scratch[0], scratch[1], p.epilogue.shift ? scratch[2] : nullptr, scratch[3], scratch[4]});
    return measure_enqueued_us(session_.backend(), [&] { product_->run(run_target->stream); });
  }

  LibrarySession& session_;
  DenseProblem problem_;
  std::string layer_, name_;
  int device_;
  std::vector<WeightRequest> requests_;
  std::optional<CublasltDense> product_;
};

struct Dense {
  static std::vector<NodeId> match(const Graph& graph, NodeId first) { return match_op(graph, first, "dense"); }
  static Support supports(const StepProblem& problem, const DeviceInfo& device) {
    if (Support support = usable("cuBLASLt", device.cublaslt, problem, device); !support) return support;
    if (Support support = cublaslt_built_in(); !support) return support;
    return cublaslt_can_express(dense_of(with_descs(problem, kernel_descs(problem, device))));
  }
  static double estimate_us(const StepProblem& problem, const DeviceInfo& device) {
    const DenseProblem p = dense_of(problem);
    return product_us(device, p.precision, 1, p.N, p.K, static_cast<double>(p.C), kernels::least_bytes(p));
  }
  static std::unique_ptr<Step> prepare(const StepProblem& problem, const DeviceInfo& device) {
    return std::make_unique<CublasltStep>(problem, device);
  }
};

template <class Entry>
constexpr Implementation entry(std::string_view name, StepDescs (*descs)(const StepProblem&, const DeviceInfo&)) {
  return {name, Entry::match, Entry::supports, Entry::estimate_us, descs, nullptr, Entry::prepare, true};
}

constexpr Implementation cudnn = entry<Conv<CudnnForm::folded>>("cudnn", conv_descs);
constexpr Implementation cudnn_exact = entry<Conv<CudnnForm::exact>>("cudnn_exact", conv_descs);
constexpr Implementation cublaslt = entry<Dense>("cublaslt", kernel_descs);

}  // namespace

std::span<const Implementation* const> library_entries() {
  static constexpr std::array<const Implementation*, 3> list{&cudnn, &cudnn_exact, &cublaslt};
  return list;
}

}  // namespace resnet::cuda
