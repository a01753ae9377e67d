#pragma once

#include <array>
#include <ostream>
#include <string>

namespace resnet::test {

/// A GPU as cuDNN's planning sees it: published figures (CUDA programming guide, "Compute capabilities", and the
/// products' data sheets). Sizes in bytes.
struct GpuProperties {
  const char* name;
  int sm;  ///< 90 for sm_90
  int multiprocessors;
  int shared_per_block, shared_per_block_optin, shared_reserved;
  int threads_per_multiprocessor, blocks_per_multiprocessor;
  int l2_mebibytes, memory_gibibytes;
};

/// For the names of failed tests.
inline void PrintTo(const GpuProperties& gpu, std::ostream* out) { *out << gpu.name; }

inline constexpr std::array gpus{
    GpuProperties{"Tesla T4", 75, 40, 49152, 65536, 0, 1024, 16, 4, 15},
    GpuProperties{"NVIDIA A100-SXM4-80GB", 80, 108, 49152, 166912, 1024, 2048, 32, 40, 80},
    GpuProperties{"NVIDIA GeForce RTX 4090", 89, 128, 49152, 101376, 1024, 1536, 24, 72, 24},
    GpuProperties{"NVIDIA H100 80GB HBM3", 90, 132, 49152, 232448, 1024, 2048, 32, 50, 80},
    GpuProperties{"NVIDIA B200", 100, 148, 49152, 232448, 1024, 2048, 32, 126, 180},
    GpuProperties{"NVIDIA GeForce RTX 5090", 120, 170, 49152, 101376, 1024, 1536, 24, 96, 32},
};

/// The JSON that cuDNN's device property descriptor reads; every key that 9.19 and 9.28 ask for.
inline std::string properties_json(const GpuProperties& gpu) {
  std::string text = "{";
  const auto raw = [&](const char* key, const std::string& value) {
    text += (text.size() > 1 ? ",\"" : "\"") + std::string(key) + "\":" + value;
  };
  const auto number = [&](const char* key, long long value) { raw(key, std::to_string(value)); };
  raw("deviceName", '"' + std::string(gpu.name) + '"');
  number("cudaDeviceId", 0);
  number("deviceVer", gpu.sm * 10);
  number("driverVer", 13000);
  number("isTccDriver", 0);
  number("l2CacheSize", gpu.l2_mebibytes * (1LL << 20));
  raw("maxBlockSize", "[1024,1024,64]");
  number("maxCtasPerSM", gpu.blocks_per_multiprocessor);
  raw("maxGridSize", "[2147483647,65535,65535]");
  number("maxRegistersPerSM", 65536);
  number("maxSharedMemoryPerBlock", gpu.shared_per_block);
  number("maxSharedMemoryPerBlockOptin", gpu.shared_per_block_optin);
  number("maxThreadsPerBlock", 1024);
  number("maxThreadsPerSM", gpu.threads_per_multiprocessor);
  number("memClockRateKHz", 1000000);
  number("memoryBusWidth", 256);
  number("multiProcessorCount", gpu.multiprocessors);
  number("pciDeviceId", 0);
  number("regsPerBlock", 65536);
  number("reservedSharedMemoryPerBlock", gpu.shared_reserved);
  number("smClockRateKHz", 1500000);
  number("supportCoopLaunch", 1);
  number("totalGlobalMem", gpu.memory_gibibytes * (1LL << 30));
  number("warpSize", 32);
  return text + '}';
}

}  // namespace resnet::test
