#pragma once

#include <new>

#include "kernels/cuda_api.hpp"
#include "kernels/sim/runtime.hpp"

/// The calls of the table, by subject, and what they share.
namespace resnet::sim {

inline thread_local int current_device = 0;
inline thread_local cudaError_t last_error = cudaSuccess;

/// Runs a call under the mutex, keeps its error for cudaGetLastError.
template <class Call>
cudaError_t guarded(const Call& call) {
  const std::lock_guard lock(runtime().mutex);
  cudaError_t error = cudaSuccess;
  try {
    error = call(runtime());
  } catch (const std::bad_alloc&) {
    error = cudaErrorMemoryAllocation;
  }
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

/// The same for calls that need a working device.
template <class Call>
cudaError_t on_device(const Call& call) {
  return guarded([&](Runtime& state) -> cudaError_t {
    if (state.devices.empty()) return cudaErrorNoDevice;
    if (static_cast<std::size_t>(current_device) >= state.devices.size()) current_device = 0;
    Runtime::Device& device = state.devices[static_cast<std::size_t>(current_device)];
    if (device.sticky != cudaSuccess) return device.sticky;
    return call(state, device);
  });
}

inline cudaStream_t stream_of(Runtime& state, Runtime::Device& device, cudaStream_t handle) {
  constexpr std::uintptr_t legacy_handle = 1;
  const auto number = reinterpret_cast<std::uintptr_t>(handle);
  if (number == 0 || number == legacy_handle) return device.legacy.get();
  return state.find_stream(handle);
}

/// A call on a stream; `call` gets the resolved one.
template <class Call>
cudaError_t on_stream(cudaStream_t handle, const Call& call) {
  return on_device([&](Runtime& state, Runtime::Device& device) -> cudaError_t {
    const cudaStream_t stream = stream_of(state, device, handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    const cudaError_t sticky = state.devices[static_cast<std::size_t>(stream->device)].sticky;
    if (sticky != cudaSuccess) return sticky;
    return call(state, stream);
  });
}

// cuda_memory.cpp
cudaError_t allocate(void** pointer, std::size_t bytes);
cudaError_t release(void* pointer);
cudaError_t allocate_host(void** pointer, std::size_t bytes);
cudaError_t release_host(void* pointer);
cudaError_t memory_info(std::size_t* free, std::size_t* total);
cudaError_t copy_async(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t handle);
cudaError_t graph_exec_set_copy(cudaGraphExec_t exec, cudaGraphNode_t node, void* to, const void* from,
                                std::size_t bytes, cudaMemcpyKind kind);
cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind);
cudaError_t fill_async(void* to, int value, std::size_t bytes, cudaStream_t handle);
cudaError_t fill(void* to, int value, std::size_t bytes);

// cuda_streams.cpp
cudaError_t stream_create(cudaStream_t* handle, unsigned flags);
cudaError_t stream_destroy(cudaStream_t handle);
cudaError_t stream_synchronize(cudaStream_t handle);
cudaError_t stream_query(cudaStream_t handle);
cudaError_t stream_wait_event(cudaStream_t handle, cudaEvent_t event, unsigned flags);
cudaError_t stream_begin_capture(cudaStream_t handle, cudaStreamCaptureMode mode);
cudaError_t stream_end_capture(cudaStream_t handle, cudaGraph_t* graph);
cudaError_t stream_is_capturing(cudaStream_t handle, cudaStreamCaptureStatus* status);
cudaError_t event_create(cudaEvent_t* handle, unsigned flags);
cudaError_t event_destroy(cudaEvent_t event);
cudaError_t event_record(cudaEvent_t event, cudaStream_t handle);
cudaError_t event_synchronize(cudaEvent_t event);
cudaError_t event_query(cudaEvent_t event);
cudaError_t event_elapsed_time(float* milliseconds, cudaEvent_t start, cudaEvent_t end);
cudaError_t graph_instantiate(cudaGraphExec_t* handle, cudaGraph_t graph, unsigned long long);
cudaError_t graph_upload(cudaGraphExec_t exec, cudaStream_t handle);
cudaError_t graph_launch(cudaGraphExec_t exec, cudaStream_t handle);
cudaError_t last_captured_node(cudaStream_t handle, cudaGraphNode_t* node);
cudaError_t graph_exec_destroy(cudaGraphExec_t exec);
cudaError_t graph_destroy(cudaGraph_t graph);

}  // namespace resnet::sim
