#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/device/epilogue.hpp"
#include "kernels/device/launch.hpp"
#include "kernels/kernel.hpp"

/// What launchers share.
namespace resnet::kernels {

using dev::launch_kernel;
using dev::LaunchShape;

inline bool is_aligned(const void* address, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(address) % bytes == 0;
}

/// The epilogue as a launch parameter. `second` is the residual.
inline dev::Epilogue make_epilogue(const EpilogueProblem& problem, DType out, const Operands& operands) {
  dev::Epilogue epilogue;
  epilogue.scale = problem.scale ? operands.scale : nullptr;
  epilogue.shift = problem.shift ? operands.shift : nullptr;
  epilogue.residual = problem.residual ? operands.second : nullptr;
  epilogue.y = operands.y;
  epilogue.res_scale = problem.res_scale;
  epilogue.out_scale = problem.out_scale;
  epilogue.zero_point = static_cast<float>(problem.zero_point);
  epilogue.alpha = problem.activation.alpha;
  epilogue.beta = problem.activation.beta;
  epilogue.activation = problem.activation.kind;
  epilogue.out = out;
  epilogue.vectors = is_aligned(operands.y, 16) && (!epilogue.residual || is_aligned(epilogue.residual, 16));
  epilogue.channel_vectors = is_aligned(epilogue.scale, 16) && is_aligned(epilogue.shift, 16);
  return epilogue;
}

/// `launch.operator()<T>()` with the C++ type of a float DType.
template <class Launch>
auto with_float_type(DType type, const Launch& launch) {
  switch (type) {
    case DType::f16:
      return launch.template operator()<dev::half>();
    case DType::bf16:
      return launch.template operator()<dev::bfloat16>();
    default:
      return launch.template operator()<float>();
  }
}

}  // namespace resnet::kernels
