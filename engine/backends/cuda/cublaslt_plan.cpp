// The one file that sees cuBLASLt. Its functions are looked up in the library that libraries.cpp opened.
#include "backends/cuda/cublaslt_plan.hpp"

#include <cublasLt.h>
#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "backends/cuda/libraries.hpp"
#include "base/check.hpp"

namespace resnet::cuda {
namespace {

constexpr int most_algorithms = 16;
constexpr std::uint32_t alignment = 64;           // of the arena
constexpr std::size_t workspace_alignment = 256;  // what cuBLASLt wants of its scratch memory

/// The functions of cublasLt.h that are called, under their names there.
struct Api {
#define RESNET_CUBLASLT(name) decltype(&::name) name = find<decltype(&::name)>(#name)
  RESNET_CUBLASLT(cublasLtCreate);
  RESNET_CUBLASLT(cublasLtDestroy);
  RESNET_CUBLASLT(cublasLtGetStatusString);
  RESNET_CUBLASLT(cublasLtMatmul);
  RESNET_CUBLASLT(cublasLtMatmulAlgoGetHeuristic);
  RESNET_CUBLASLT(cublasLtMatmulDescCreate);
  RESNET_CUBLASLT(cublasLtMatmulDescDestroy);
  RESNET_CUBLASLT(cublasLtMatmulDescSetAttribute);
  RESNET_CUBLASLT(cublasLtMatmulPreferenceCreate);
  RESNET_CUBLASLT(cublasLtMatmulPreferenceDestroy);
  RESNET_CUBLASLT(cublasLtMatmulPreferenceSetAttribute);
  RESNET_CUBLASLT(cublasLtMatrixLayoutCreate);
  RESNET_CUBLASLT(cublasLtMatrixLayoutDestroy);
#undef RESNET_CUBLASLT

  template <class Function>
  static Function find(const char* name) {
    const Library& library = cublaslt_library();
    if (!library) fail(ErrorCode::unsupported, library.missing);
    void* const symbol = dlsym(library.handle, name);
    if (!symbol)
      fail(ErrorCode::unsupported, library.folder + " holds a cuBLASLt without " + name, {}, "install it again");
    return reinterpret_cast<Function>(symbol);
  }
};

const Api& api() {
  static const Api functions;
  return functions;
}

void check(cublasStatus_t status, std::string_view doing, ErrorCode code = ErrorCode::device_failed) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail(code,
       "cuBLASLt " + library_version_text(cublaslt_library().version) + ": " + std::string(doing) +
           " failed: " + api().cublasLtGetStatusString(status),
       {}, "set RESNET_ENGINE_CUBLASLT=off to run without cuBLASLt");
}

/// A descriptor with the function that frees it.
template <class T>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, cublasStatus_t (*)(T)>;

cudaDataType_t data_type(DType dtype) {
  if (dtype == DType::f16) return CUDA_R_16F;
  return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

cublasComputeType_t compute_type(const DenseProblem& problem) {
  if (problem.precision == Precision::tf32) return CUBLAS_COMPUTE_32F_FAST_TF32;
  return problem.precision == Precision::fp32 ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F;
}

/// A column-major matrix without gaps.
Owned<cublasLtMatrixLayout_t> layout(DType dtype, std::int64_t rows, std::int64_t columns) {
  cublasLtMatrixLayout_t made = nullptr;
  check(api().cublasLtMatrixLayoutCreate(&made, data_type(dtype), static_cast<std::uint64_t>(rows),
                                         static_cast<std::uint64_t>(columns), rows),
        "describing a matrix");
  return {made, api().cublasLtMatrixLayoutDestroy};
}

template <class T>
void set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(api().cublasLtMatmulDescSetAttribute(product, attribute, &value, sizeof value), "describing a product");
}

Owned<cublasLtMatmulDesc_t> describe(const DenseProblem& problem) {
  cublasLtMatmulDesc_t made = nullptr;
  check(api().cublasLtMatmulDescCreate(&made, compute_type(problem), CUDA_R_32F), "describing a product");
  Owned<cublasLtMatmulDesc_t> product{made, api().cublasLtMatmulDescDestroy};
  set(made, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  const bool relu = problem.epilogue.activation.kind == ActivationKind::relu;
  const bool bias = problem.epilogue.shift;
  const cublasLtEpilogue_t plain = relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
  set(made, CUBLASLT_MATMUL_DESC_EPILOGUE,
      bias ? (relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS) : plain);
  if (bias) {
    // The heuristics take the address for its alignment; bind() knows the true one.
    const void* const aligned = reinterpret_cast<const void*>(std::uintptr_t{alignment});
    set(made, CUBLASLT_MATMUL_DESC_BIAS_POINTER, aligned);
  }
  return product;
}

std::string hexadecimal(const cublasLtMatmulAlgo_t& algorithm) {
  std::string text;
  for (const std::uint64_t word : algorithm.data) {
    for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
  }
  return text;
}

}  // namespace

struct CublasltDense::Impl {
  cublasLtHandle_t handle;
  Owned<cublasLtMatmulDesc_t> product;
  // Row-major y [N,K] = x [N,C] w [K,C]^T is column-major y [K,N] = w^T x with w [C,K] and x [C,N].
  Owned<cublasLtMatrixLayout_t> w, x, y;
  bool bias;
  std::array<cublasLtMatmulHeuristicResult_t, most_algorithms> found;
  std::vector<std::size_t> accepted;  ///< indices into `found`
  std::vector<std::string> names;
  std::size_t chosen = 0;  ///< index into `found`
  CublasltOperands operands;

  void ask(const DenseProblem& problem);
};

void CublasltDense::Impl::ask(const DenseProblem& problem) {
  cublasLtMatmulPreference_t made = nullptr;
  check(api().cublasLtMatmulPreferenceCreate(&made), "asking the heuristics");
  const Owned<cublasLtMatmulPreference_t> preference{made, api().cublasLtMatmulPreferenceDestroy};
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    check(api().cublasLtMatmulPreferenceSetAttribute(made, attribute, &value, sizeof value), "asking the heuristics");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{cublaslt_workspace_cap});
  for (const auto operand : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    prefer(operand, alignment);
  // Partial sums meet in fp32 and in one order: sums in a 16-bit output would be rounded at every part.
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  int count = 0;
  check(api().cublasLtMatmulAlgoGetHeuristic(handle, product.get(), w.get(), x.get(), y.get(), y.get(), made,
                                             most_algorithms, found.data(), &count),
        "asking the heuristics for " + std::to_string(problem.N) + 'x' + std::to_string(problem.C) + " -> " +
            std::to_string(problem.K),
        ErrorCode::unsupported);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    if (found[i].state != CUBLAS_STATUS_SUCCESS) continue;
    accepted.push_back(i);
    names.push_back(hexadecimal(found[i].algo));
  }
  if (accepted.empty()) check(CUBLAS_STATUS_NOT_SUPPORTED, "finding an algorithm", ErrorCode::unsupported);
  chosen = accepted.front();
}

CublasltDense::CublasltDense(const DenseProblem& problem, const CublasltHandle& handle) {
  if (const Support support = cublaslt_can_express(problem); !support)
    fail(ErrorCode::unsupported, "cuBLASLt cannot express this dense layer: " + support.reason);
  impl_.reset(new Impl{static_cast<cublasLtHandle_t>(handle.get()),
                       describe(problem),
                       layout(problem.in, problem.C, problem.K),
                       layout(problem.in, problem.C, problem.N),
                       layout(problem.out, problem.K, problem.N),
                       problem.epilogue.shift,
                       {},
                       {},
                       {},
                       0,
                       {}});
  impl_->ask(problem);
}

CublasltDense::~CublasltDense() = default;

const std::vector<std::string>& CublasltDense::choices() const { return impl_->names; }
void CublasltDense::use(std::size_t choice) { impl_->chosen = impl_->accepted.at(choice); }

std::size_t CublasltDense::workspace_bytes() const {
  const std::size_t bytes = impl_->found[impl_->chosen].workspaceSize;
  return bytes > 0 ? bytes + workspace_alignment : 0;
}

void CublasltDense::bind(const CublasltOperands& operands) {
  impl_->operands = operands;
  const auto address = reinterpret_cast<std::uintptr_t>(operands.workspace);
  const std::uintptr_t aligned = (address + workspace_alignment - 1) / workspace_alignment * workspace_alignment;
  impl_->operands.workspace = reinterpret_cast<void*>(aligned);
  if (impl_->bias) set(impl_->product.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands.bias);
}

void CublasltDense::run(void* stream) {
  const Impl& own = *impl_;
  const float one = 1, zero = 0;
  const cublasLtMatmulHeuristicResult_t& choice = own.found[own.chosen];
  const CublasltOperands& at = own.operands;
  check(api().cublasLtMatmul(own.handle, own.product.get(), &one, at.w, own.w.get(), at.x, own.x.get(), &zero, at.y,
                             own.y.get(), at.y, own.y.get(), &choice.algo, at.workspace, choice.workspaceSize,
                             static_cast<cudaStream_t>(stream)),
        "running a dense layer");
}

CublasltHandle::CublasltHandle() {
  cublasLtHandle_t handle = nullptr;
  check(api().cublasLtCreate(&handle), "creating a handle", ErrorCode::unsupported);
  handle_ = handle;
}

CublasltHandle::~CublasltHandle() {
  if (handle_) static_cast<void>(api().cublasLtDestroy(static_cast<cublasLtHandle_t>(handle_)));
}

Support cublaslt_built_in() { return Support::yes(); }

}  // namespace resnet::cuda
