#include <algorithm>
#include <cstring>

#include "kernels/sim/cuda_calls.hpp"

/// The table of CUDA calls as the emulator answers them: devices, errors, launches.
namespace resnet {
namespace {

using namespace sim;

constexpr std::size_t shared_bytes_without_asking = 48 * 1024;
constexpr std::size_t reserved_shared_bytes = 1024;

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

constexpr CudaApi table = {"",
                           get_device_count,
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
                           graph_upload,
                           graph_launch,
                           graph_exec_set_copy,
                           graph_exec_destroy,
                           graph_destroy,
                           last_captured_node,
                           set_max_dynamic_shared_bytes,
                           launch_kernel};

}  // namespace

const CudaApi& built_in_cuda_api() { return table; }

}  // namespace resnet
