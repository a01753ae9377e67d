#pragma once

#include <map>
#include <string>

#include "kernels/cuda_api.hpp"

namespace resnet::test {

/// While it lives, CUDA calls go through a table that counts them and may let one fail: call number `at` (from 0)
/// returns `error`, and all later ones too where it is sticky. One at a time, and calls of one thread.
struct CudaInjector {
  static inline int calls = 0, at = -1;
  static inline cudaError_t error = cudaSuccess;
  static inline bool sticky = false, only_allocations = false, fired = false;
  static inline std::map<std::string, int> counts;  ///< by name
  static inline int alive = 0;                      ///< what was made less what was given back: memory, streams ...

  static bool fires(const char* name, bool allocates) {
    ++counts[name];
    if (only_allocations && !allocates) return false;
    const int call = calls++;
    if (at < 0 || call < at || (call > at && !sticky)) return false;
    return fired = true;
  }

  template <auto member, bool releases, bool allocates, int made>
  struct Call;
  template <class... Arguments, cudaError_t (*CudaApi::*member)(Arguments...), bool releases, bool allocates, int made>
  struct Call<member, releases, allocates, made> {
    static inline const char* name = "";
    static cudaError_t run(Arguments... arguments) {
      const bool fails = fires(name, allocates);
      // Nobody can release a thing twice or end a capture again: it happens although the call says that it failed.
      if (fails && !releases) return error;
      const cudaError_t result = (built_in_cuda_api().*member)(arguments...);
      if (result == cudaSuccess) alive += made;
      return fails ? error : result;
    }
  };

  CudaInjector() : api_(built_in_cuda_api()) {
    calls = alive = 0, at = -1, error = cudaSuccess, sticky = only_allocations = fired = false;
    counts.clear();
    wrap<&CudaApi::cudaGetDeviceCount>("cudaGetDeviceCount");
    wrap<&CudaApi::cudaSetDevice>("cudaSetDevice");
    wrap<&CudaApi::cudaGetDevice>("cudaGetDevice");
    wrap<&CudaApi::cudaGetDeviceProperties>("cudaGetDeviceProperties");
    wrap<&CudaApi::cudaDeviceGetAttribute>("cudaDeviceGetAttribute");
    wrap<&CudaApi::cudaMalloc, false, true, 1>("cudaMalloc");
    wrap<&CudaApi::cudaFree, true, false, -1>("cudaFree");
    wrap<&CudaApi::cudaMallocHost, false, false, 1>("cudaMallocHost");
    wrap<&CudaApi::cudaFreeHost, true, false, -1>("cudaFreeHost");
    wrap<&CudaApi::cudaMemcpy>("cudaMemcpy");
    wrap<&CudaApi::cudaMemcpyAsync>("cudaMemcpyAsync");
    wrap<&CudaApi::cudaMemsetAsync>("cudaMemsetAsync");
    wrap<&CudaApi::cudaStreamCreateWithFlags, false, false, 1>("cudaStreamCreateWithFlags");
    wrap<&CudaApi::cudaStreamDestroy, true, false, -1>("cudaStreamDestroy");
    wrap<&CudaApi::cudaStreamSynchronize>("cudaStreamSynchronize");
    wrap<&CudaApi::cudaStreamWaitEvent>("cudaStreamWaitEvent");
    wrap<&CudaApi::cudaStreamBeginCapture>("cudaStreamBeginCapture");
    wrap<&CudaApi::cudaStreamEndCapture, true>("cudaStreamEndCapture");
    wrap<&CudaApi::cudaStreamIsCapturing>("cudaStreamIsCapturing");
    wrap<&CudaApi::cudaEventCreateWithFlags, false, false, 1>("cudaEventCreateWithFlags");
    wrap<&CudaApi::cudaEventDestroy, true, false, -1>("cudaEventDestroy");
    wrap<&CudaApi::cudaEventRecord>("cudaEventRecord");
    wrap<&CudaApi::cudaEventSynchronize>("cudaEventSynchronize");
    wrap<&CudaApi::cudaGraphInstantiate, false, false, 1>("cudaGraphInstantiate");
    wrap<&CudaApi::cudaGraphUpload>("cudaGraphUpload");
    wrap<&CudaApi::cudaGraphLaunch>("cudaGraphLaunch");
    wrap<&CudaApi::cudaGraphExecMemcpyNodeSetParams1D>("cudaGraphExecMemcpyNodeSetParams1D");
    wrap<&CudaApi::cudaGraphExecDestroy, true, false, -1>("cudaGraphExecDestroy");
    wrap<&CudaApi::cudaGraphDestroy, true>("cudaGraphDestroy");
    wrap<&CudaApi::last_captured_node>("last_captured_node");
    wrap<&CudaApi::set_max_dynamic_shared_bytes>("set_max_dynamic_shared_bytes");
    wrap<&CudaApi::launch_kernel>("launch_kernel");
    replace_cuda_api(&api_);
  }
  ~CudaInjector() { replace_cuda_api(nullptr); }
  CudaInjector(const CudaInjector&) = delete;
  CudaInjector& operator=(const CudaInjector&) = delete;

  CudaApi& api() { return api_; }

 private:
  template <auto member, bool releases = false, bool allocates = false, int made = 0>
  void wrap(const char* name) {
    Call<member, releases, allocates, made>::name = name;
    api_.*member = Call<member, releases, allocates, made>::run;
  }
  CudaApi api_;
};

}  // namespace resnet::test
