#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/problem.hpp"
#include "base/support.hpp"

/// Dense layers through cuBLASLt. The library and its header stay behind this interface; a build without the header
/// has cublaslt_absent.cpp in its place.
namespace resnet::cuda {

/// Largest scratch memory that a matrix product may ask for.
constexpr std::size_t cublaslt_workspace_cap = std::size_t{32} << 20;

/// Device addresses; what the problem does not have is null. All are 64-byte aligned.
struct CublasltOperands {
  const void *x = nullptr, *w = nullptr, *bias = nullptr;  ///< w: [K, C] times the scale; bias of y's type
  void *y = nullptr, *workspace = nullptr;
};

/// Whether one matrix product can say what the problem asks for. Pure: cuBLASLt is not asked.
Support cublaslt_can_express(const DenseProblem& problem);

/// A handle on the current device. @throws Error unsupported: a device that is lost fails our own kernels, too
class CublasltHandle {
 public:
  CublasltHandle();
  ~CublasltHandle();
  CublasltHandle(const CublasltHandle&) = delete;
  CublasltHandle& operator=(const CublasltHandle&) = delete;
  void* get() const noexcept { return handle_; }
  /// Forgets the handle without destroying it: in a forked process it is not ours.
  void abandon() noexcept { handle_ = nullptr; }

 private:
  void* handle_ = nullptr;
};

/// One dense layer: y = epilogue(x w^T). Not thread-safe.
class CublasltDense {
 public:
  /// Asks the library's heuristics for algorithms. @throws Error unsupported, device_failed
  CublasltDense(const DenseProblem& problem, const CublasltHandle& handle);
  ~CublasltDense();
  CublasltDense(const CublasltDense&) = delete;
  CublasltDense& operator=(const CublasltDense&) = delete;

  /// Names of the algorithms (their 64 bytes in hexadecimal, which hold for one version), the library's guess first.
  const std::vector<std::string>& choices() const;
  void use(std::size_t choice);
  /// Of the chosen algorithm.
  std::size_t workspace_bytes() const;
  /// @throws Error device_failed
  void bind(const CublasltOperands& operands);
  /// Enqueues the product on a cudaStream_t. Allocates nothing. @throws Error device_failed
  void run(void* stream);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether this build holds the calls, and what it was configured without.
Support cublaslt_built_in();

}  // namespace resnet::cuda
