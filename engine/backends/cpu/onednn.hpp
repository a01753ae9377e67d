#pragma once

#include <omp.h>

#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "backends/backend.hpp"

namespace resnet::cpu {

/// This backend's private layout: channels in blocks of eight, as oneDNN's AVX2 kernels like them.
inline constexpr auto nchw8c = static_cast<LayoutId>(static_cast<int>(LayoutId::first_opaque));

const dnnl::engine& cpu_engine();
const dnnl::stream& cpu_stream();

dnnl::memory::data_type to_dnnl(DType dtype);
/// The descriptor as a logical N,C,H,W tensor. @throws Error internal on a layout that is not this backend's
dnnl::memory::desc to_dnnl(const ValueDesc& desc);
/// The layout that the kernels of this CPU like best for a value of so many channels: blocked on AVX2 (ResNet-50 takes
/// 1.1 x as long in NHWC there), NHWC elsewhere (within 6 % of blocked on AVX-512).
LayoutId preferred_layout(std::int64_t channels, const DeviceInfo& device);
/// `desc` in that layout.
ValueDesc preferred(const Dims& dims, DType dtype, const DeviceInfo& device);

/// Whether this CPU has kernels for the precision.
Support supports_precision(Precision precision, const DeviceInfo& device);

/// Runs `make`, turning a dnnl::error into an Error that names the layer.
template <class Make>
auto guarded(const StepProblem& problem, Make&& make);
[[noreturn]] void rethrow(const dnnl::error& error, const StepProblem& problem);

/// Sets the calling thread's OpenMP team size while primitives are made: blocking depends on it.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~ThreadScope() { omp_set_num_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

/// Appends the activation. Two eltwise post-ops for hard_sigmoid, one for the others.
void append_activation(dnnl::post_ops& ops, const Activation& activation);
/// Attributes with the caller's scratchpad, as every primitive here has them.
dnnl::primitive_attr attributes(const dnnl::post_ops& ops);

/// A text that is equal exactly for equal memory descriptors.
std::string describe(const dnnl::memory::desc& desc);

/// Packs a tensor: `from` describes the file's order as the primitive's logical dimensions, `to` what the primitive
/// wants. With `stages` each output channel is multiplied by its scale (channels lie in the first `channel_dims`
/// dimensions).
WeightRequest weight_request(const std::string& tensor, const dnnl::memory::desc& from, const dnnl::memory::desc& to,
                             std::span<const AffineStage> stages, std::size_t channels, int channel_dims);

/// One reorder on the calling thread alone. `scale`, where not empty, multiplies along the dimensions of `scale_mask`.
void reorder_once(const dnnl::memory::desc& from, const float* values, const dnnl::memory::desc& to, std::byte* out,
                  const std::vector<float>& scale, int scale_mask = 0);
/// The scales of the stages from their tensors; empty when no tensors are given.
std::vector<double> channel_scale(std::span<const AffineStage> stages, std::size_t channels,
                                  std::span<const TensorValues> tensors);

/// Where an operand of a primitive comes from.
enum class Source : std::uint8_t { input, output, weight, workspace };
struct Operand {
  int argument;  ///< DNNL_ARG_...
  dnnl::memory::desc desc;
  Source source;
  std::size_t index;
};

/// One primitive with all its arguments made ahead. run() is one library call.
class PrimitiveStep final : public Step {
 public:
  PrimitiveStep(dnnl::primitive primitive, std::span<const Operand> operands, std::size_t workspace_bytes,
                std::vector<WeightRequest> weights, std::string detail);
  std::size_t workspace_bytes() const override { return workspace_bytes_; }
  std::span<const WeightRequest> weights() const override { return weights_; }
  void bind(const StepBuffers& buffers) override;
  void run() override;
  std::string detail() const override { return detail_; }

 private:
  void add(const Operand& operand);

  /// An operand without its descriptor, which its memory object holds too: a kilobyte each, in every session.
  struct Place {
    Source source;
    std::size_t index;
  };
  dnnl::primitive primitive_;
  std::vector<Place> places_;
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
  std::size_t workspace_bytes_;
  std::vector<WeightRequest> weights_;
  std::string detail_;
};

/// Appends y = scale[c] x + shift[c] as two binary post-ops, with their operands and weights.
void append_scale_shift(dnnl::post_ops& ops, std::span<const AffineStage> stages, std::int64_t channels,
                        std::vector<Operand>& operands, std::vector<WeightRequest>& weights);

/// Paper model: the slower of arithmetic and memory traffic.
double estimate(std::int64_t macs, std::size_t bytes, int threads, const DeviceInfo& device);
std::size_t traffic(const StepProblem& problem);

template <class Make>
auto guarded(const StepProblem& problem, Make&& make) {
  const ThreadScope threads(problem.threads);
  try {
    return make();
  } catch (const dnnl::error& error) {
    rethrow(error, problem);
  }
}

}  // namespace resnet::cpu
