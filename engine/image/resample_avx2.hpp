#pragma once

#include "image/resample_kernels.hpp"

namespace resnet {

/// Only for CPUs with AVX2.
extern const ResampleKernels avx2_resample_kernels;

}  // namespace resnet
