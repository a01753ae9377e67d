// What selection and people see of the libraries, whichever build loads them.
#include "backends/cuda/libraries.hpp"

namespace resnet::cuda {
namespace {

std::string text(const char* name, const LibraryInfo& library) {
  if (library.version == 0) return std::string("no ") + name + " (" + library.missing + ')';
  return std::string(name) + ' ' + library_version_text(library.version);
}

}  // namespace

std::string library_version_text(int version) {
  return std::to_string(version / 10000) + '.' + std::to_string(version / 100 % 100) + '.' +
         std::to_string(version % 100);
}

void describe_libraries(DeviceInfo& device) {
  const Library& cublaslt = cublaslt_library();
  const CudnnLibrary& cudnn = cudnn_library();
  device.cublaslt = {cublaslt.version, cublaslt.missing};
  device.cudnn = {cudnn.version, cudnn.missing};
  device.cudnn_no_compiler = cudnn.no_compiler;
}

std::string libraries_text(const DeviceInfo& device) {
  std::string cudnn = text("cuDNN", device.cudnn);
  if (device.cudnn.version != 0 && !device.cudnn_no_compiler.empty())
    cudnn += " without engines that it compiles (" + device.cudnn_no_compiler + ')';
  return cudnn + ", " + text("cuBLASLt", device.cublaslt);
}

}  // namespace resnet::cuda
