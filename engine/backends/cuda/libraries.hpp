#pragma once

#include <string>
#include <vector>

#include "base/device_info.hpp"

/// cuDNN and cuBLASLt, loaded when they are first asked for: one binary runs with and without them.
namespace resnet::cuda {

/// A library in this process, or why it is not. A loaded one is never closed: it has threads and exit handlers.
struct Library {
  void* handle = nullptr;  ///< for dlsym()
  int version = 0;         ///< as it reports it: 91900 is cuDNN 9.19.0, 130100 is cuBLASLt 13.1.0
  std::string folder;      ///< where it lies
  std::string missing;     ///< what failed and the next step; empty when the library is there

  explicit operator bool() const noexcept { return handle != nullptr; }
};

struct CudnnLibrary : Library {
  /// Why engines that cuDNN compiles at run time cannot be used; empty when they can.
  std::string no_compiler;
};

/// Where a library may lie. The first place that has the file decides: a file that does not load is a reason.
struct LibrarySearch {
  std::string forced;                ///< the only folder; "off" = nowhere; empty = the places below
  bool loader = true;                ///< this process, then the dynamic loader's own path
  std::vector<std::string> folders;  ///< then these, in order
  int cuda_major = 13;               ///< the CUDA that the libraries must be built for
};

/// The search that users get: the folder in `variable` (RESNET_ENGINE_CUDNN, RESNET_ENGINE_CUBLASLT) alone when it is
/// set, else the loader's path, /usr/local/cuda, and the nvidia wheels of the Python environment in VIRTUAL_ENV.
LibrarySearch default_search(const char* variable);

/// Loads the library anew: what tests call. No CUDA function is called, no device is needed. Never throws for a
/// library that is missing, too old, of another major version, built for another CUDA or incomplete.
Library load_cublaslt(const LibrarySearch& search);
/// cuDNN calls abort() where one of its parts does not load, so each is opened here first. It needs cuBLASLt.
CudnnLibrary load_cudnn(const LibrarySearch& search, const Library& cublaslt);

/// The process's own, loaded at the first call. Thread-safe.
const Library& cublaslt_library();
const CudnnLibrary& cudnn_library();

/// Puts versions, or what is missing, into the facts that selection sees.
void describe_libraries(DeviceInfo& device);

/// Those facts for people: "cuDNN 9.19.0, cuBLASLt 13.1.0", or what is missing in their place.
std::string libraries_text(const DeviceInfo& device);
/// "9.19.0" of 91900.
std::string library_version_text(int version);

}  // namespace resnet::cuda
