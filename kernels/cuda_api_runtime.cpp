// The seam's table, filled by the static CUDA runtime.

#include <cuda_runtime.h>

#include "kernels/cuda_api.hpp"

namespace resnet {
namespace {

cudaError_t set_max_dynamic_shared_bytes(const KernelHandle& kernel, int bytes) {
  return cudaFuncSetAttribute(kernel.function, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

cudaError_t launch_kernel(const cudaLaunchConfig_t& config, const KernelHandle& kernel, void** arguments) {
  return cudaLaunchKernelExC(&config, kernel.function, arguments);
}

cudaError_t last_captured_node(cudaStream_t stream, cudaGraphNode_t* node) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaGraphNode_t* nodes = nullptr;
  std::size_t count = 0;
#if CUDART_VERSION >= 13000
  const cudaError_t error = cudaStreamGetCaptureInfo(stream, &status, nullptr, nullptr, &nodes, nullptr, &count);
#else
  const cudaError_t error = cudaStreamGetCaptureInfo_v2(stream, &status, nullptr, nullptr, &nodes, &count);
#endif
  if (error != cudaSuccess) return error;
  if (status != cudaStreamCaptureStatusActive || count != 1) return cudaErrorIllegalState;
  *node = nodes[0];
  return cudaSuccess;
}

// Overloads and defaulted arguments of the runtime's headers, with the table's signatures.
cudaError_t malloc_device(void** pointer, std::size_t bytes) { return cudaMalloc(pointer, bytes); }
cudaError_t malloc_host(void** pointer, std::size_t bytes) { return cudaMallocHost(pointer, bytes); }
cudaError_t device_properties(cudaDeviceProp* properties, int device) {
  return cudaGetDeviceProperties(properties, device);
}
cudaError_t event_record(cudaEvent_t event, cudaStream_t stream) { return cudaEventRecord(event, stream); }

constexpr CudaApi runtime_api{
    .architectures = RESNET_KERNEL_ARCHITECTURES,
    .cudaGetDeviceCount = cudaGetDeviceCount,
    .cudaSetDevice = cudaSetDevice,
    .cudaGetDevice = cudaGetDevice,
    .cudaGetDeviceProperties = device_properties,
    .cudaDeviceGetAttribute = cudaDeviceGetAttribute,
    .cudaDriverGetVersion = cudaDriverGetVersion,
    .cudaRuntimeGetVersion = cudaRuntimeGetVersion,
    .cudaDeviceSynchronize = cudaDeviceSynchronize,
    .cudaGetLastError = cudaGetLastError,
    .cudaPeekAtLastError = cudaPeekAtLastError,
    .cudaGetErrorName = cudaGetErrorName,
    .cudaGetErrorString = cudaGetErrorString,
    .cudaMalloc = malloc_device,
    .cudaFree = cudaFree,
    .cudaMallocHost = malloc_host,
    .cudaFreeHost = cudaFreeHost,
    .cudaMemGetInfo = cudaMemGetInfo,
    .cudaMemcpy = cudaMemcpy,
    .cudaMemcpyAsync = cudaMemcpyAsync,
    .cudaMemset = cudaMemset,
    .cudaMemsetAsync = cudaMemsetAsync,
    .cudaStreamCreateWithFlags = cudaStreamCreateWithFlags,
    .cudaStreamDestroy = cudaStreamDestroy,
    .cudaStreamSynchronize = cudaStreamSynchronize,
    .cudaStreamQuery = cudaStreamQuery,
    .cudaStreamWaitEvent = cudaStreamWaitEvent,
    .cudaStreamBeginCapture = cudaStreamBeginCapture,
    .cudaStreamEndCapture = cudaStreamEndCapture,
    .cudaStreamIsCapturing = cudaStreamIsCapturing,
    .cudaEventCreateWithFlags = cudaEventCreateWithFlags,
    .cudaEventDestroy = cudaEventDestroy,
    .cudaEventRecord = event_record,
    .cudaEventSynchronize = cudaEventSynchronize,
    .cudaEventQuery = cudaEventQuery,
    .cudaEventElapsedTime = cudaEventElapsedTime,
    .cudaGraphInstantiate = cudaGraphInstantiate,
    .cudaGraphUpload = cudaGraphUpload,
    .cudaGraphLaunch = cudaGraphLaunch,
    .cudaGraphExecMemcpyNodeSetParams1D = cudaGraphExecMemcpyNodeSetParams1D,
    .cudaGraphExecDestroy = cudaGraphExecDestroy,
    .cudaGraphDestroy = cudaGraphDestroy,
    .last_captured_node = last_captured_node,
    .set_max_dynamic_shared_bytes = set_max_dynamic_shared_bytes,
    .launch_kernel = launch_kernel,
};

}  // namespace

const CudaApi& built_in_cuda_api() { return runtime_api; }

}  // namespace resnet
