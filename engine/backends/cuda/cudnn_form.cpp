// What cuDNN's graphs can say, without cuDNN.
#include <algorithm>
#include <limits>
#include <string>

#include "backends/cuda/cudnn_plan.hpp"
#include "ops/op.hpp"

namespace resnet::cuda {

std::string_view to_string(CudnnForm form) noexcept { return form == CudnnForm::folded ? "folded" : "exact"; }

bool cudnn_reads_shift(const ConvProblem& problem, CudnnForm form) noexcept {
  return problem.epilogue.shift || (form == CudnnForm::folded && problem.epilogue.residual);
}

Support cudnn_can_express(const ConvProblem& p) {
  if (p.in != DType::f32 && p.in != DType::f16 && p.in != DType::bf16)
    return Support::no(std::string(resnet::to_string(p.in)) + " is not written for cuDNN");
  if (p.in != p.out) {
    return Support::no("input and output must be of one type, are " + std::string(resnet::to_string(p.in)) + " and " +
                       std::string(resnet::to_string(p.out)));
  }
  const EpilogueProblem& e = p.epilogue;
  if (e.activation.kind != ActivationKind::none && e.activation.kind != ActivationKind::relu)
    return Support::no("activation " + std::string(resnet::to_string(e.activation.kind)) + " (only relu)");
  if (e.res_scale != 1) return Support::no("a scaled residual");
  if (e.out_scale != 1 || e.zero_point != 0) return Support::no("a quantised output");
  const std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const std::int64_t largest =
      std::max({p.N * p.H * p.W * p.C, p.N * p.P * p.Q * p.K, p.K * p.R * p.S * (p.C / p.groups)});
  if (largest > most) return Support::no("a tensor of " + std::to_string(largest) + " elements (at most 2^31 - 1)");
  return Support::yes();
}

}  // namespace resnet::cuda
