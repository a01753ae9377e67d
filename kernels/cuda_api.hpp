#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace resnet {

/// A kernel as the table below launches it. `invoke` calls it on the host with copies of its arguments: only the
/// emulator does that.
struct KernelHandle {
  const void* function = nullptr;
  void (*invoke)(const void* function, void* const* arguments) = nullptr;
  std::size_t argument_bytes = 0;  ///< of the one argument, which is passed by value
  const char* name = "";           ///< for reports and profiles, a string literal
};

/// The one seam to CUDA: every call of this project goes through this table. It is filled by the static CUDA runtime
/// (cuda_api_runtime.cpp), by the emulator (sim/cuda_api_sim.cpp) or by a fault injector that wraps either. The members
/// have the runtime's names, arguments and errors.
struct CudaApi {
  /// The architectures that the kernels were compiled for, as CMake's CUDA_ARCHITECTURES names them, separated by
  /// commas ("80-real,90"); empty where every one will do.
  const char* architectures;
  cudaError_t (*cudaGetDeviceCount)(int*);
  cudaError_t (*cudaSetDevice)(int);
  cudaError_t (*cudaGetDevice)(int*);
  cudaError_t (*cudaGetDeviceProperties)(cudaDeviceProp*, int);
  cudaError_t (*cudaDeviceGetAttribute)(int*, cudaDeviceAttr, int);
  cudaError_t (*cudaDriverGetVersion)(int*);
  cudaError_t (*cudaRuntimeGetVersion)(int*);
  cudaError_t (*cudaDeviceSynchronize)();
  cudaError_t (*cudaGetLastError)();
  cudaError_t (*cudaPeekAtLastError)();
  const char* (*cudaGetErrorName)(cudaError_t);
  const char* (*cudaGetErrorString)(cudaError_t);

  cudaError_t (*cudaMalloc)(void**, std::size_t);
  cudaError_t (*cudaFree)(void*);
  cudaError_t (*cudaMallocHost)(void**, std::size_t);
  cudaError_t (*cudaFreeHost)(void*);
  cudaError_t (*cudaMemGetInfo)(std::size_t* free, std::size_t* total);
  cudaError_t (*cudaMemcpy)(void*, const void*, std::size_t, cudaMemcpyKind);
  cudaError_t (*cudaMemcpyAsync)(void*, const void*, std::size_t, cudaMemcpyKind, cudaStream_t);
  cudaError_t (*cudaMemset)(void*, int, std::size_t);
  cudaError_t (*cudaMemsetAsync)(void*, int, std::size_t, cudaStream_t);

  cudaError_t (*cudaStreamCreateWithFlags)(cudaStream_t*, unsigned);
  cudaError_t (*cudaStreamDestroy)(cudaStream_t);
  cudaError_t (*cudaStreamSynchronize)(cudaStream_t);
  cudaError_t (*cudaStreamQuery)(cudaStream_t);
  cudaError_t (*cudaStreamWaitEvent)(cudaStream_t, cudaEvent_t, unsigned);
  cudaError_t (*cudaStreamBeginCapture)(cudaStream_t, cudaStreamCaptureMode);
  cudaError_t (*cudaStreamEndCapture)(cudaStream_t, cudaGraph_t*);
  cudaError_t (*cudaStreamIsCapturing)(cudaStream_t, cudaStreamCaptureStatus*);

  cudaError_t (*cudaEventCreateWithFlags)(cudaEvent_t*, unsigned);
  cudaError_t (*cudaEventDestroy)(cudaEvent_t);
  cudaError_t (*cudaEventRecord)(cudaEvent_t, cudaStream_t);
  cudaError_t (*cudaEventSynchronize)(cudaEvent_t);
  cudaError_t (*cudaEventQuery)(cudaEvent_t);
  cudaError_t (*cudaEventElapsedTime)(float*, cudaEvent_t, cudaEvent_t);

  cudaError_t (*cudaGraphInstantiate)(cudaGraphExec_t*, cudaGraph_t, unsigned long long);
  cudaError_t (*cudaGraphUpload)(cudaGraphExec_t, cudaStream_t);
  cudaError_t (*cudaGraphLaunch)(cudaGraphExec_t, cudaStream_t);
  cudaError_t (*cudaGraphExecMemcpyNodeSetParams1D)(cudaGraphExec_t, cudaGraphNode_t, void* to, const void* from,
                                                    std::size_t, cudaMemcpyKind);
  cudaError_t (*cudaGraphExecDestroy)(cudaGraphExec_t);
  cudaError_t (*cudaGraphDestroy)(cudaGraph_t);

  /// The node that the stream's last captured call made: cudaStreamGetCaptureInfo, whose form differs between CUDA 12
  /// and 13. cudaErrorIllegalState where the stream captures nothing, or not behind one node.
  cudaError_t (*last_captured_node)(cudaStream_t, cudaGraphNode_t*);
  /// cudaFuncSetAttribute and cudaLaunchKernelExC, by handle.
  cudaError_t (*set_max_dynamic_shared_bytes)(const KernelHandle&, int bytes);
  cudaError_t (*launch_kernel)(const cudaLaunchConfig_t&, const KernelHandle&, void** arguments);
};

/// The table of this build: the static CUDA runtime's or the emulator's.
const CudaApi& built_in_cuda_api();
/// The table in use. Thread-safe to read; replaced only while no other thread uses CUDA.
const CudaApi& cuda_api();
/// Puts `api` into use and returns the table that was; null restores the built-in one. For fault injection.
const CudaApi* replace_cuda_api(const CudaApi* api);

}  // namespace resnet
