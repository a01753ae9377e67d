#include <algorithm>
#include <cstring>
#include <new>

#include "kernels/cuda_api.hpp"
#include "kernels/sim/access.hpp"
#include "kernels/sim/runtime.hpp"

/// The table of CUDA calls as the emulator answers them.
namespace resnet {
namespace {

using namespace sim;

thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;

constexpr std::size_t shared_bytes_without_asking = 48 * 1024;
constexpr std::size_t reserved_shared_bytes = 1024;

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

cudaStream_t stream_of(Runtime& state, Runtime::Device& device, cudaStream_t handle) {
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

// Devices and errors.

cudaError_t get_device_count(int* count) {
  return guarded([&](Runtime& state) {
    *count = static_cast<int>(state.devices.size());
    return state.devices.empty() ? cudaErrorNoDevice : cudaSuccess;
  });
}

cudaError_t set_device(int device) {
  return guarded([&](Runtime& state) {
    if (device < 0 || static_cast<std::size_t>(device) >= state.devices.size()) return cudaErrorInvalidDevice;
    current_device = device;
    return cudaSuccess;
  });
}

cudaError_t get_device(int* device) {
  return guarded([&](Runtime& state) {
    if (state.devices.empty()) return cudaErrorNoDevice;
    if (static_cast<std::size_t>(current_device) >= state.devices.size()) current_device = 0;
    *device = current_device;
    return cudaSuccess;
  });
}

cudaDeviceProp properties_of(const PretendDevice& device, int index) {
  cudaDeviceProp properties = {};
  device.name.copy(properties.name, sizeof properties.name - 1);
  properties.totalGlobalMem = device.memory_bytes;
  properties.sharedMemPerBlock = std::min(shared_bytes_without_asking, device.shared_bytes_per_block);
  properties.sharedMemPerBlockOptin = device.shared_bytes_per_block;
  properties.sharedMemPerMultiprocessor = device.shared_bytes_per_block + reserved_shared_bytes;
  properties.reservedSharedMemPerBlock = reserved_shared_bytes;
  properties.regsPerBlock = properties.regsPerMultiprocessor = 65536;
  properties.warpSize = 32;
  properties.maxThreadsPerBlock = 1024;
  properties.maxThreadsDim[0] = properties.maxThreadsDim[1] = 1024;
  properties.maxThreadsDim[2] = 64;
  properties.maxGridSize[0] = 0x7fffffff;
  properties.maxGridSize[1] = properties.maxGridSize[2] = 65535;
  properties.major = device.sm / 10;
  properties.minor = device.sm % 10;
  properties.multiProcessorCount = device.multiprocessors;
  properties.concurrentKernels = 1;
  properties.ECCEnabled = 1;
  properties.pciBusID = index;
  properties.asyncEngineCount = 3;
  properties.unifiedAddressing = 1;
  properties.memoryBusWidth = 5120;
  properties.l2CacheSize = static_cast<int>(device.l2_bytes);
  properties.maxThreadsPerMultiProcessor = device.sm == 75 ? 1024 : 2048;
  properties.cooperativeLaunch = 1;
  properties.maxBlocksPerMultiProcessor = device.sm == 75 ? 16 : 32;
  properties.clusterLaunch = device.sm >= 90 ? 1 : 0;
  return properties;
}

cudaError_t get_device_properties(cudaDeviceProp* properties, int device) {
  return guarded([&](Runtime& state) {
    if (device < 0 || static_cast<std::size_t>(device) >= state.devices.size()) return cudaErrorInvalidDevice;
    *properties = properties_of(state.devices[static_cast<std::size_t>(device)].properties, device);
    return cudaSuccess;
  });
}

cudaError_t device_get_attribute(int* value, cudaDeviceAttr attribute, int device) {
  return guarded([&](Runtime& state) {
    if (device < 0 || static_cast<std::size_t>(device) >= state.devices.size()) return cudaErrorInvalidDevice;
    const cudaDeviceProp all = properties_of(state.devices[static_cast<std::size_t>(device)].properties, device);
    switch (attribute) {
      case cudaDevAttrMaxThreadsPerBlock:
        *value = all.maxThreadsPerBlock;
        break;
      case cudaDevAttrMaxGridDimX:
        *value = all.maxGridSize[0];
        break;
      case cudaDevAttrMaxGridDimY:
        *value = all.maxGridSize[1];
        break;
      case cudaDevAttrMaxGridDimZ:
        *value = all.maxGridSize[2];
        break;
      case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = static_cast<int>(all.sharedMemPerBlock);
        break;
      case cudaDevAttrWarpSize:
        *value = all.warpSize;
        break;
      case cudaDevAttrMaxRegistersPerBlock:
        *value = all.regsPerBlock;
        break;
      case cudaDevAttrClockRate:
        *value = 1'700'000;
        break;
      case cudaDevAttrMultiProcessorCount:
        *value = all.multiProcessorCount;
        break;
      case cudaDevAttrIntegrated:
        *value = all.integrated;
        break;
      case cudaDevAttrPciBusId:
        *value = all.pciBusID;
        break;
      case cudaDevAttrMemoryClockRate:
        *value = 3'000'000;
        break;
      case cudaDevAttrGlobalMemoryBusWidth:
        *value = all.memoryBusWidth;
        break;
      case cudaDevAttrL2CacheSize:
        *value = all.l2CacheSize;
        break;
      case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = all.maxThreadsPerMultiProcessor;
        break;
      case cudaDevAttrComputeCapabilityMajor:
        *value = all.major;
        break;
      case cudaDevAttrComputeCapabilityMinor:
        *value = all.minor;
        break;
      case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = static_cast<int>(all.sharedMemPerMultiprocessor);
        break;
      case cudaDevAttrMaxRegistersPerMultiprocessor:
        *value = all.regsPerMultiprocessor;
        break;
      case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(all.sharedMemPerBlockOptin);
        break;
      case cudaDevAttrMaxBlocksPerMultiprocessor:
        *value = all.maxBlocksPerMultiProcessor;
        break;
      case cudaDevAttrReservedSharedMemoryPerBlock:
        *value = static_cast<int>(all.reservedSharedMemPerBlock);
        break;
      case cudaDevAttrMemoryPoolsSupported:
        *value = all.memoryPoolsSupported;
        break;
      default:
        return cudaErrorInvalidValue;
    }
    return cudaSuccess;
  });
}

cudaError_t get_version(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t device_synchronize() {
  return on_device([](Runtime& state, Runtime::Device& device) -> cudaError_t {
    const cudaError_t error = state.check_capture();
    if (error != cudaSuccess) return error;
    state.drain_device(device.legacy->device);
    return device.sticky;
  });
}

cudaError_t get_last_error() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  const cudaError_t sticky = on_device([](Runtime&, Runtime::Device&) { return cudaSuccess; });
  if (sticky == cudaErrorNoDevice) last_error = cudaSuccess;
  return error != cudaSuccess || sticky == cudaErrorNoDevice ? error : sticky;
}

cudaError_t peek_at_last_error() {
  const cudaError_t error = last_error;
  const cudaError_t sticky = on_device([](Runtime&, Runtime::Device&) { return cudaSuccess; });
  if (sticky == cudaErrorNoDevice) last_error = error;
  return error != cudaSuccess || sticky == cudaErrorNoDevice ? error : sticky;
}

// Memory.

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

bool is_pinned(const Runtime& state, const void* address, std::size_t bytes) {
  auto after = state.pinned.upper_bound(address);
  if (after == state.pinned.begin()) return false;
  const auto& [data, region] = *std::prev(after);
  const auto offset =
      static_cast<std::size_t>(static_cast<const std::byte*>(address) - static_cast<const std::byte*>(data));
  return offset <= region.second && bytes <= region.second - offset;
}

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

cudaError_t copy_async(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    const cudaError_t error = check_copy(to, from, bytes, kind);
    if (error != cudaSuccess || bytes == 0) return error;
    const bool to_pageable = !device_memory().contains(to) && !is_pinned(state, to, bytes);
    const bool from_pageable = !device_memory().contains(from) && !is_pinned(state, from, bytes);
    if (from_pageable && !stream->capture) {
      // Staged before the call returns, so the caller may change it at once.
      const auto* const first = static_cast<const std::byte*>(from);
      auto staged = std::make_shared<std::vector<std::byte>>(first, first + bytes);
      const auto work = copy_work(to, staged->data(), bytes);
      return state.enqueue(stream, [staged, work] { return work(); });
    }
    const cudaError_t enqueued = state.enqueue(stream, copy_work(to, from, bytes));
    if (to_pageable && !stream->capture) state.drain(stream);
    return enqueued;
  });
}

cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return on_device([&](Runtime& state, Runtime::Device& device) -> cudaError_t {
    cudaError_t error = state.check_capture();
    if (error == cudaSuccess) error = check_copy(to, from, bytes, kind);
    if (error != cudaSuccess || bytes == 0) return error;
    error = state.enqueue(device.legacy.get(), copy_work(to, from, bytes));
    state.drain(device.legacy.get());
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

// Streams, events, graphs.

cudaError_t stream_create(cudaStream_t* handle, unsigned flags) {
  return on_device([&](Runtime& state, Runtime::Device& device) -> cudaError_t {
    if (!handle || (flags & ~cudaStreamNonBlocking) != 0) return cudaErrorInvalidValue;
    auto stream = std::make_unique<CUstream_st>();
    stream->device = device.legacy->device;
    stream->non_blocking = (flags & cudaStreamNonBlocking) != 0;
    *handle = stream.get();
    state.streams_[*handle] = std::move(stream);
    return cudaSuccess;
  });
}

cudaError_t stream_destroy(cudaStream_t handle) {
  return guarded([&](Runtime& state) -> cudaError_t {
    const cudaStream_t stream = state.find_stream(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream->capture) stream->capture->invalid = true;
    state.drain(stream);
    state.retire(stream);
    return cudaSuccess;
  });
}

cudaError_t stream_synchronize(cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    const cudaError_t error = state.refuse_in_capture(stream);
    if (error != cudaSuccess) return error;
    state.drain(stream);
    return state.devices[static_cast<std::size_t>(stream->device)].sticky;
  });
}

cudaError_t stream_query(cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    const cudaError_t error = state.refuse_in_capture(stream);
    if (error != cudaSuccess) return error;
    // One step per question, so that whoever polls gets there.
    if (state.run_one(stream)) return cudaErrorNotReady;
    return state.devices[static_cast<std::size_t>(stream->device)].sticky;
  });
}

cudaError_t stream_wait_event(cudaStream_t handle, cudaEvent_t event, unsigned flags) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    if (!state.known(event)) return cudaErrorInvalidResourceHandle;
    if (flags != 0) return cudaErrorInvalidValue;
    return state.wait(stream, event);
  });
}

cudaError_t stream_begin_capture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) { return state.begin_capture(stream, mode); });
}

cudaError_t stream_end_capture(cudaStream_t handle, cudaGraph_t* graph) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) { return state.end_capture(stream, graph); });
}

cudaError_t stream_is_capturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return on_stream(handle, [&](Runtime&, cudaStream_t stream) {
    *status = !stream->capture           ? cudaStreamCaptureStatusNone
              : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}

cudaError_t event_create(cudaEvent_t* handle, unsigned flags) {
  return on_device([&](Runtime& state, Runtime::Device& device) -> cudaError_t {
    if (!handle || (flags & ~(cudaEventBlockingSync | cudaEventDisableTiming)) != 0) return cudaErrorInvalidValue;
    auto event = std::make_unique<CUevent_st>();
    event->timing = (flags & cudaEventDisableTiming) == 0;
    event->device = device.legacy->device;
    *handle = event.get();
    state.events_[*handle] = std::move(event);
    return cudaSuccess;
  });
}

cudaError_t event_destroy(cudaEvent_t event) {
  return guarded(
      [&](Runtime& state) { return state.events_.erase(event) == 1 ? cudaSuccess : cudaErrorInvalidResourceHandle; });
}

cudaError_t event_record(cudaEvent_t event, cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    if (!state.known(event) || event->device != stream->device) return cudaErrorInvalidResourceHandle;
    return state.record(event, stream);
  });
}

/// Whether the recorded position is reached; runs up to it (`all`) or one step towards it.
cudaError_t event_progress(cudaEvent_t event, bool all) {
  return on_device([&](Runtime& state, Runtime::Device& device) -> cudaError_t {
    if (!state.known(event)) return cudaErrorInvalidResourceHandle;
    if (event->capture) {
      event->capture->invalid = true;
      return cudaErrorCapturedEvent;
    }
    if (!event->stream || event->stream->completed >= event->position) return device.sticky;
    if (all) {
      state.drain(event->stream, event->position);
      return device.sticky;
    }
    state.run_one(event->stream);
    return cudaErrorNotReady;
  });
}
cudaError_t event_synchronize(cudaEvent_t event) { return event_progress(event, true); }
cudaError_t event_query(cudaEvent_t event) { return event_progress(event, false); }

cudaError_t event_elapsed_time(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return on_device([&](Runtime& state, Runtime::Device&) -> cudaError_t {
    for (const cudaEvent_t event : {start, end}) {
      if (!state.known(event) || !event->timing || !event->stream || event->capture) {
        return cudaErrorInvalidResourceHandle;
      }
      if (event->stream->completed < event->position) return cudaErrorNotReady;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *start->time).count();
    return cudaSuccess;
  });
}

cudaError_t graph_instantiate(cudaGraphExec_t* handle, cudaGraph_t graph, unsigned long long) {
  return on_device([&](Runtime& state, Runtime::Device&) -> cudaError_t {
    if (!handle || state.graphs_.count(graph) == 0) return cudaErrorInvalidValue;
    auto exec = std::make_unique<CUgraphExec_st>(CUgraphExec_st{*graph});
    *handle = exec.get();
    state.graph_execs_[*handle] = std::move(exec);
    return cudaSuccess;
  });
}

cudaError_t graph_launch(cudaGraphExec_t exec, cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    if (state.graph_execs_.count(exec) == 0) return cudaErrorInvalidValue;
    return state.launch_graph(exec->graph, stream);
  });
}

cudaError_t graph_exec_destroy(cudaGraphExec_t exec) {
  return guarded(
      [&](Runtime& state) { return state.graph_execs_.erase(exec) == 1 ? cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t graph_destroy(cudaGraph_t graph) {
  return guarded([&](Runtime& state) { return state.graphs_.erase(graph) == 1 ? cudaSuccess : cudaErrorInvalidValue; });
}

// Kernels.

cudaError_t set_max_dynamic_shared_bytes(const KernelHandle& kernel, int bytes) {
  return on_device([&](Runtime& state, Runtime::Device& device) {
    if (bytes < 0 || static_cast<std::size_t>(bytes) > device.properties.shared_bytes_per_block) {
      return cudaErrorInvalidValue;
    }
    state.shared_limits[kernel.function] = static_cast<std::size_t>(bytes);
    return cudaSuccess;
  });
}

cudaError_t launch_kernel(const cudaLaunchConfig_t& config, const KernelHandle& kernel, void** arguments) {
  return on_stream(config.stream, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    if (stream->device != current_device) return cudaErrorInvalidResourceHandle;
    if (!kernel.function || !kernel.invoke) return cudaErrorInvalidDeviceFunction;
    const dim3 grid = config.gridDim, block = config.blockDim;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 ||
        block.x == 0 || block.x > 1024 || block.y != 1 || block.z != 1) {
      return cudaErrorInvalidConfiguration;
    }
    const auto asked = state.shared_limits.find(kernel.function);
    const std::size_t limit = asked == state.shared_limits.end() ? shared_bytes_without_asking
                                                                 : std::max(asked->second, shared_bytes_without_asking);
    const PretendDevice& device = state.devices[static_cast<std::size_t>(stream->device)].properties;
    if (config.dynamicSmemBytes > std::min(limit, device.shared_bytes_per_block)) return cudaErrorInvalidValue;
    // Copied now: the caller's may be gone when the kernel runs.
    constexpr std::size_t alignment = 64;
    auto storage = std::make_shared<std::vector<std::byte>>(kernel.argument_bytes + alignment);
    const auto address = reinterpret_cast<std::uintptr_t>(storage->data());
    std::byte* const data = storage->data() + (alignment - address % alignment);
    std::memcpy(data, arguments[0], kernel.argument_bytes);
    Launch launch;
    launch.kernel = kernel;
    launch.arguments = {data, kernel.argument_bytes};
    launch.grid = {grid.x, grid.y, grid.z};
    launch.threads = block.x;
    launch.shared_bytes = config.dynamicSmemBytes;
    launch.device = stream->device;
    launch.sm = device.sm;
    return state.enqueue(stream, [&state, launch, storage]() mutable {
      launch.schedule = state.schedule;
      launch.number = ++state.launches;
      return run_grid(launch);
    });
  });
}

// clang-format off
const char* error_name(cudaError_t error) {
  switch (error) {
#define RESNET_SIM_NAME(name) case name: return #name;
    RESNET_SIM_NAME(cudaSuccess)
    RESNET_SIM_NAME(cudaErrorInvalidValue)
    RESNET_SIM_NAME(cudaErrorMemoryAllocation)
    RESNET_SIM_NAME(cudaErrorInitializationError)
    RESNET_SIM_NAME(cudaErrorInvalidConfiguration)
    RESNET_SIM_NAME(cudaErrorInvalidMemcpyDirection)
    RESNET_SIM_NAME(cudaErrorInsufficientDriver)
    RESNET_SIM_NAME(cudaErrorInvalidDeviceFunction)
    RESNET_SIM_NAME(cudaErrorNoDevice)
    RESNET_SIM_NAME(cudaErrorInvalidDevice)
    RESNET_SIM_NAME(cudaErrorNoKernelImageForDevice)
    RESNET_SIM_NAME(cudaErrorInvalidResourceHandle)
    RESNET_SIM_NAME(cudaErrorIllegalState)
    RESNET_SIM_NAME(cudaErrorNotReady)
    RESNET_SIM_NAME(cudaErrorIllegalAddress)
    RESNET_SIM_NAME(cudaErrorLaunchOutOfResources)
    RESNET_SIM_NAME(cudaErrorLaunchTimeout)
    RESNET_SIM_NAME(cudaErrorIllegalInstruction)
    RESNET_SIM_NAME(cudaErrorMisalignedAddress)
    RESNET_SIM_NAME(cudaErrorLaunchFailure)
    RESNET_SIM_NAME(cudaErrorNotSupported)
    RESNET_SIM_NAME(cudaErrorStreamCaptureUnsupported)
    RESNET_SIM_NAME(cudaErrorStreamCaptureInvalidated)
    RESNET_SIM_NAME(cudaErrorStreamCaptureMerge)
    RESNET_SIM_NAME(cudaErrorStreamCaptureUnmatched)
    RESNET_SIM_NAME(cudaErrorStreamCaptureUnjoined)
    RESNET_SIM_NAME(cudaErrorStreamCaptureIsolation)
    RESNET_SIM_NAME(cudaErrorStreamCaptureImplicit)
    RESNET_SIM_NAME(cudaErrorCapturedEvent)
    RESNET_SIM_NAME(cudaErrorStreamCaptureWrongThread)
    RESNET_SIM_NAME(cudaErrorUnknown)
#undef RESNET_SIM_NAME
    default: return "cudaErrorUnrecognized";
  }
}
// clang-format on
const char* error_string(cudaError_t error) { return error_name(error); }

constexpr CudaApi table = {get_device_count,
                           set_device,
                           get_device,
                           get_device_properties,
                           device_get_attribute,
                           get_version,
                           get_version,
                           device_synchronize,
                           get_last_error,
                           peek_at_last_error,
                           error_name,
                           error_string,
                           allocate,
                           release,
                           allocate_host,
                           release_host,
                           memory_info,
                           copy,
                           copy_async,
                           fill,
                           fill_async,
                           stream_create,
                           stream_destroy,
                           stream_synchronize,
                           stream_query,
                           stream_wait_event,
                           stream_begin_capture,
                           stream_end_capture,
                           stream_is_capturing,
                           event_create,
                           event_destroy,
                           event_record,
                           event_synchronize,
                           event_query,
                           event_elapsed_time,
                           graph_instantiate,
                           graph_launch,
                           graph_exec_destroy,
                           graph_destroy,
                           set_max_dynamic_shared_bytes,
                           launch_kernel};

}  // namespace

const CudaApi& built_in_cuda_api() { return table; }

}  // namespace resnet
