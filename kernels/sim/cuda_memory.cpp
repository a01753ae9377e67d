#include <algorithm>
#include <cstring>

#include "kernels/sim/access.hpp"
#include "kernels/sim/cuda_calls.hpp"

/// cudaMalloc, cudaMemcpy and their kin.
namespace resnet::sim {
namespace {

void report_copy(const void* address, std::size_t bytes, const char* what) {
  report(ReportKind::out_of_bounds, Site{"", 0}, what, " of ", bytes, " bytes at ", address,
         " leaves the allocations of the device");
}

/// Whether each side is what `kind` says.
cudaError_t check_copy(const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const bool to_device = device_memory().contains(to), from_device = device_memory().contains(from);
  switch (kind) {
    case cudaMemcpyHostToHost:
      if (to_device || from_device) return cudaErrorInvalidValue;
      break;
    case cudaMemcpyHostToDevice:
      if (!to_device || from_device) return cudaErrorInvalidValue;
      break;
    case cudaMemcpyDeviceToHost:
      if (to_device || !from_device) return cudaErrorInvalidValue;
      break;
    case cudaMemcpyDeviceToDevice:
      if (!to_device || !from_device) return cudaErrorInvalidValue;
      break;
    case cudaMemcpyDefault:
      break;
    default:
      return cudaErrorInvalidMemcpyDirection;
  }
  if (to_device && !device_memory().find(to, bytes)) {
    report_copy(to, bytes, "a copy to");
    return cudaErrorInvalidValue;
  }
  if (from_device && !device_memory().find(from, bytes)) {
    report_copy(from, bytes, "a copy from");
    return cudaErrorInvalidValue;
  }
  return cudaSuccess;
}

/// The bytes move when the work runs; the regions are looked up again because they may be gone by then.
std::function<cudaError_t()> copy_work(void* to, const void* from, std::size_t bytes) {
  return [=] {
    for (const void* const address : {static_cast<const void*>(to), from}) {
      if (!device_memory().contains(address) || device_memory().find(address, bytes)) continue;
      report_copy(address, bytes, "an enqueued copy");
      return cudaErrorIllegalAddress;
    }
    std::memmove(to, from, bytes);
    shadow_copied(to, from, bytes);
    return cudaSuccess;
  };
}

/// The same from a copy of the bytes, so that the caller may change them at once.
std::function<cudaError_t()> staged_copy(void* to, const void* from, std::size_t bytes) {
  const auto* const first = static_cast<const std::byte*>(from);
  auto staged = std::make_shared<std::vector<std::byte>>(first, first + bytes);
  const auto work = copy_work(to, staged->data(), bytes);
  return [staged, work] { return work(); };
}

}  // namespace

cudaError_t allocate(void** pointer, std::size_t bytes) {
  return on_device([&](Runtime& state, Runtime::Device& device) -> cudaError_t {
    const cudaError_t error = state.check_capture();
    if (error != cudaSuccess) return error;
    if (!pointer) return cudaErrorInvalidValue;
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    const int index = device.legacy->device;
    const std::size_t used = device_memory().used(index);
    if (bytes > device.properties.memory_bytes - used) return cudaErrorMemoryAllocation;
    *pointer = device_memory().allocate(bytes, index);
    return *pointer ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}

cudaError_t release(void* pointer) {
  return guarded([&](Runtime& state) -> cudaError_t {
    if (state.devices.empty()) return cudaErrorNoDevice;
    if (!pointer) return cudaSuccess;
    const cudaError_t error = state.check_capture();
    if (error != cudaSuccess) return error;
    const Allocation* const allocation = device_memory().find(pointer, 0);
    if (!allocation || allocation->data != pointer) return cudaErrorInvalidValue;
    const int index = allocation->device;
    state.drain_device(index);
    device_memory().release(pointer);
    return state.devices[static_cast<std::size_t>(index)].sticky;
  });
}

cudaError_t allocate_host(void** pointer, std::size_t bytes) {
  return on_device([&](Runtime& state, Runtime::Device&) -> cudaError_t {
    const cudaError_t error = state.check_capture();
    if (error != cudaSuccess) return error;
    if (!pointer) return cudaErrorInvalidValue;
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    constexpr std::size_t alignment = 256;
    auto memory = std::make_unique<std::byte[]>(bytes + alignment);
    const auto address = reinterpret_cast<std::uintptr_t>(memory.get());
    std::byte* const data = memory.get() + (alignment - address % alignment);
    std::memset(data, poison, bytes);
    state.pinned[data] = {std::move(memory), bytes};
    *pointer = data;
    return cudaSuccess;
  });
}

cudaError_t release_host(void* pointer) {
  return guarded([&](Runtime& state) -> cudaError_t {
    if (!pointer) return cudaSuccess;
    const cudaError_t error = state.check_capture();
    if (error != cudaSuccess) return error;
    for (std::size_t i = 0; i < state.devices.size(); ++i) state.drain_device(static_cast<int>(i));
    return state.pinned.erase(pointer) == 1 ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t memory_info(std::size_t* free, std::size_t* total) {
  return on_device([&](Runtime&, Runtime::Device& device) {
    *total = device.properties.memory_bytes;
    *free = *total - device_memory().used(device.legacy->device);
    return cudaSuccess;
  });
}

cudaError_t copy_async(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    const cudaError_t error = check_copy(to, from, bytes, kind);
    if (error != cudaSuccess || bytes == 0) return error;
    const bool to_pageable = !device_memory().contains(to) && !state.is_pinned(to, bytes);
    const bool from_pageable = !device_memory().contains(from) && !state.is_pinned(from, bytes);
    if (from_pageable && !stream->capture) return state.enqueue(stream, staged_copy(to, from, bytes));
    const cudaError_t enqueued = state.enqueue(stream, copy_work(to, from, bytes));
    if (enqueued == cudaSuccess && stream->capture)
      stream->capture->graph.nodes.back().handle->copy = {device_memory().contains(to), device_memory().contains(from)};
    if (to_pageable && !stream->capture) state.drain(stream);
    return enqueued;
  });
}

cudaError_t graph_exec_set_copy(cudaGraphExec_t exec, cudaGraphNode_t node, void* to, const void* from,
                                std::size_t bytes, cudaMemcpyKind kind) {
  return on_device([&](Runtime& state, Runtime::Device&) -> cudaError_t {
    if (state.graph_execs_.count(exec) == 0 || !node || bytes == 0) return cudaErrorInvalidValue;
    auto& nodes = exec->graph.nodes;
    const auto found =
        std::find_if(nodes.begin(), nodes.end(), [&](const auto& own) { return own.handle.get() == node; });
    if (found == nodes.end()) return cudaErrorInvalidValue;
    const auto& copy = node->copy;
    // A node keeps the kinds of memory that it was made with.
    if (!copy || copy->to_device != device_memory().contains(to) || copy->from_device != device_memory().contains(from))
      return cudaErrorInvalidValue;
    if (const cudaError_t error = check_copy(to, from, bytes, kind); error != cudaSuccess) return error;
    found->run = copy_work(to, from, bytes);  // what is enqueued already has its own copy of the graph
    return cudaSuccess;
  });
}

cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return on_device([&](Runtime& state, Runtime::Device& device) -> cudaError_t {
    cudaError_t error = state.check_capture();
    if (error == cudaSuccess) error = check_copy(to, from, bytes, kind);
    if (error != cudaSuccess || bytes == 0) return error;
    const cudaStream_t legacy = device.legacy.get();
    const bool to_device = device_memory().contains(to), from_device = device_memory().contains(from);
    if (to_device && !from_device && !state.is_pinned(from, bytes)) {
      // CUDA promises no more: what is enqueued runs, the bytes are staged, and they move later.
      state.drain(legacy);
      error = state.enqueue(legacy, staged_copy(to, from, bytes));
    } else {
      error = state.enqueue(legacy, copy_work(to, from, bytes));
      // Nor does the host wait for a copy inside a device.
      if (!to_device || !from_device) state.drain(legacy);
    }
    return error != cudaSuccess ? error : device.sticky;
  });
}

cudaError_t fill_async(void* to, int value, std::size_t bytes, cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    if (bytes == 0) return cudaSuccess;
    if (!device_memory().contains(to)) return cudaErrorInvalidValue;
    if (!device_memory().find(to, bytes)) {
      report_copy(to, bytes, "a memset");
      return cudaErrorInvalidValue;
    }
    return state.enqueue(stream, [=] {
      if (!device_memory().find(to, bytes)) {
        report_copy(to, bytes, "an enqueued memset");
        return cudaErrorIllegalAddress;
      }
      std::memset(to, value, bytes);
      shadow_initialised(to, bytes);
      return cudaSuccess;
    });
  });
}

cudaError_t fill(void* to, int value, std::size_t bytes) { return fill_async(to, value, bytes, nullptr); }

}  // namespace resnet::sim
