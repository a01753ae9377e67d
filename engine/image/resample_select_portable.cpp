#include "image/resample_kernels.hpp"

namespace resnet {

const ResampleKernels& best_resample_kernels() { return portable_resample_kernels; }

}  // namespace resnet
