// What the libraries can be asked for, decided without them.
#include <algorithm>
#include <limits>
#include <string>

#include "backends/cuda/cublaslt_plan.hpp"
#include "backends/cuda/cudnn_plan.hpp"
#include "ops/op.hpp"

namespace resnet::cuda {

namespace {

constexpr std::int64_t most_elements = std::numeric_limits<std::int32_t>::max();

Support too_large(std::int64_t elements) {
  return Support::no("a tensor of " + std::to_string(elements) + " elements (at most 2^31 - 1)");
}

bool is_float(DType dtype) { return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16; }

/// The rules that are the same for both.
Support plain_epilogue(const EpilogueProblem& epilogue) {
  const ActivationKind kind = epilogue.activation.kind;
  if (kind != ActivationKind::none && kind != ActivationKind::relu)
    return Support::no("activation " + std::string(resnet::to_string(kind)) + " (only relu)");
  if (epilogue.res_scale != 1) return Support::no("a scaled residual");
  if (epilogue.out_scale != 1 || epilogue.zero_point != 0) return Support::no("a quantised output");
  return Support::yes();
}

}  // namespace

std::string_view to_string(CudnnForm form) noexcept { return form == CudnnForm::folded ? "folded" : "exact"; }

bool cudnn_reads_shift(const ConvProblem& problem, CudnnForm form) noexcept {
  return problem.epilogue.shift || (form == CudnnForm::folded && problem.epilogue.residual);
}

Support cudnn_can_express(const ConvProblem& p) {
  if (!is_float(p.in)) return Support::no(std::string(resnet::to_string(p.in)) + " is not written for cuDNN");
  if (p.in != p.out) {
    return Support::no("input and output must be of one type, are " + std::string(resnet::to_string(p.in)) + " and " +
                       std::string(resnet::to_string(p.out)));
  }
  if (Support support = plain_epilogue(p.epilogue); !support) return support;
  const std::int64_t largest =
      std::max({p.N * p.H * p.W * p.C, p.N * p.P * p.Q * p.K, p.K * p.R * p.S * (p.C / p.groups)});
  return largest > most_elements ? too_large(largest) : Support::yes();
}

Support cublaslt_can_express(const DenseProblem& p) {
  if (!is_float(p.in)) return Support::no(std::string(resnet::to_string(p.in)) + " is not written for cuBLASLt");
  if (p.out != p.in && p.out != DType::f32) {
    return Support::no("the output must be of the input's type or f32, is " + std::string(resnet::to_string(p.out)));
  }
  if (p.epilogue.residual) return Support::no("a residual");
  if (Support support = plain_epilogue(p.epilogue); !support) return support;
  const std::int64_t largest = std::max({p.N * p.C, p.N * p.K, p.K * p.C});
  return largest > most_elements ? too_large(largest) : Support::yes();
}

}  // namespace resnet::cuda
