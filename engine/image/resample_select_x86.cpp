#include "image/resample_avx2.hpp"

namespace resnet {

const ResampleKernels& best_resample_kernels() {
  static const bool avx2 = __builtin_cpu_supports("avx2") != 0;
  return avx2 ? avx2_resample_kernels : portable_resample_kernels;
}

}  // namespace resnet
