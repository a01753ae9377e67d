#pragma once

#include <string>

#include "kernels/compiled_for.hpp"
#include "kernels/device/mma.hpp"
#include "kernels/kernel.hpp"

namespace resnet::kernels {

/// Whether the device's matrix unit (mma.sync) takes operands of `in` in that precision, and the epilogue stores `out`.
inline Support mma_operands(Precision precision, DType in, DType out, const DeviceInfo& device) {
  const std::string name(to_string(precision));
  if (precision != Precision::fp16 && precision != Precision::bf16 && precision != Precision::tf32)
    return Support::no("precision must be fp16, bf16 or tf32, is " + name);
  const int oldest = oldest_sm_of(precision);
  if (device.sm < oldest)
    return Support::no(name + " needs sm_" + std::to_string(oldest) + " or newer, is sm_" + std::to_string(device.sm));
  const DType operand = precision == Precision::fp16   ? DType::f16
                        : precision == Precision::bf16 ? DType::bf16
                                                       : DType::f32;
  if (in != operand) return Support::no("the input must be " + std::string(to_string(operand)));
  if (out != DType::f32 && out != DType::f16 && out != DType::bf16)
    return Support::no("the output must be f32, f16 or bf16");
  return Support::yes();
}

/// `launch.operator()<T>()` with the matrix unit's operand type of a precision that mma_operands() takes.
template <class Launch>
auto with_mma_type(Precision precision, const Launch& launch) {
  switch (precision) {
    case Precision::fp16:
      return launch.template operator()<dev::half>();
    case Precision::bf16:
      return launch.template operator()<dev::bfloat16>();
    default:
      return launch.template operator()<dev::tf32>();
  }
}

}  // namespace resnet::kernels
