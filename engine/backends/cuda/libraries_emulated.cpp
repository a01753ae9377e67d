// The emulator has no cuDNN and no cuBLASLt: nothing is opened, and the reason says so.
#include "backends/cuda/libraries.hpp"

namespace resnet::cuda {

const Library& cublaslt_library() {
  static const Library library{nullptr, 0, {}, "cuBLASLt is not part of the emulated build"};
  return library;
}

const CudnnLibrary& cudnn_library() {
  static const CudnnLibrary library{{nullptr, 0, {}, "cuDNN is not part of the emulated build"}, {}};
  return library;
}

}  // namespace resnet::cuda
