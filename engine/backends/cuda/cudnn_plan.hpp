#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/problem.hpp"
#include "base/support.hpp"

/// Convolutions as cuDNN graphs. cuDNN and its headers stay behind this interface; a build without the headers has
/// cudnn_absent.cpp in its place.
namespace resnet::cuda {

/// How the epilogue is written.
enum class CudnnForm : std::uint8_t {
  /// conv -> add residual -> add bias -> ReLU, all of one type. Weights come multiplied by the scale and the bias is
  /// rounded to that type. The only form that cuDNN's pre-compiled engines match, and only they are used.
  folded,
  /// conv -> multiply by scale -> add shift -> add residual -> ReLU, scale and shift in fp32. The only form without an
  /// extra rounding; its engines are compiled when the plan is built (0.2 to 3 s each).
  exact,
};
std::string_view to_string(CudnnForm form) noexcept;

/// Largest scratch memory that a plan may ask for.
constexpr std::size_t cudnn_workspace_cap = std::size_t{64} << 20;

/// The device that plans are made for.
struct CudnnDevice {
  void* handle = nullptr;  ///< cudnnHandle_t; null: plan for `properties`, on any machine
  std::string properties;  ///< JSON, as cuDNN's device property descriptor reads it
  int sm = 0;              ///< 90 for sm_90
};

/// One engine with its settings that accepts the problem.
struct CudnnChoice {
  std::string name;           ///< engine and settings: "eng41_k2=5_k13=1"; holds for one version of cuDNN
  bool tensor_cores = false;  ///< rounds fp32 operands to TF32
  bool precompiled = true;    ///< or compiled when built
};

/// Device addresses; what the problem does not have is null. `workspace` holds workspace_bytes().
struct CudnnOperands {
  const void *x = nullptr, *w = nullptr, *scale = nullptr, *shift = nullptr, *residual = nullptr;
  void *y = nullptr, *workspace = nullptr;
};

/// Whether the graph reads a shift: where the problem has one, and in folded form beside a residual, because no engine
/// matches a residual alone; then the caller passes zeros.
bool cudnn_reads_shift(const ConvProblem& problem, CudnnForm form) noexcept;

/// Whether a graph can say what the problem asks for. Pure: cuDNN is not asked.
Support cudnn_can_express(const ConvProblem& problem);

/// A convolution's graph and the engines that accept it. Not thread-safe. cuDNN's and cudnn-frontend's errors and
/// exceptions become Error unsupported (no engine, no build) or device_failed (run).
class CudnnConv {
 public:
  /// Asks cuDNN's heuristics; no plan is built. fp32 gets no engine that rounds its operands; no precision gets one
  /// that is not deterministic, that transforms (Winograd, FFT), or that needs more than cudnn_workspace_cap.
  /// @throws Error unsupported
  CudnnConv(const ConvProblem& problem, CudnnForm form, const CudnnDevice& device);
  ~CudnnConv();
  CudnnConv(const CudnnConv&) = delete;
  CudnnConv& operator=(const CudnnConv&) = delete;

  /// In the order of cuDNN's heuristics, at least one.
  const std::vector<CudnnChoice>& choices() const;
  /// Makes choices()[choice] the plan that bind() and run() use. It may fail although the engine accepts the problem.
  /// @throws Error unsupported
  void build(std::size_t choice);
  /// Of the plan.
  std::size_t workspace_bytes() const;
  /// Takes the addresses for run(). All but scale and shift are 16-byte aligned. @throws Error device_failed
  void bind(const CudnnOperands& operands);
  /// Enqueues the plan on the handle's stream. Allocates nothing. @throws Error device_failed
  void run(void* handle);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A handle on the current device. It must not be used by two threads at once. @throws Error unsupported: a device that
/// is lost fails our own kernels, too
class CudnnHandle {
 public:
  CudnnHandle();
  ~CudnnHandle();
  CudnnHandle(const CudnnHandle&) = delete;
  CudnnHandle& operator=(const CudnnHandle&) = delete;
  void* get() const noexcept { return handle_; }
  /// Forgets the handle without destroying it: in a forked process it is not ours.
  void abandon() noexcept { handle_ = nullptr; }
  /// `stream` is a cudaStream_t. Does nothing when it is the handle's already. @throws Error device_failed
  void set_stream(void* stream);

 private:
  void* handle_ = nullptr;
  void* stream_ = nullptr;
};

/// Whether this build holds cuDNN's graphs, and what it was configured without.
Support cudnn_built_in();

}  // namespace resnet::cuda
