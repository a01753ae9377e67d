#pragma once

#include <cstddef>
#include <string>

namespace resnet {

enum class DeviceKind { cpu, cuda };

/// A library that a backend loads at run time where it is installed.
struct LibraryInfo {
  int version = 0;      ///< as the library reports it (91900 for 9.19.0); 0 = not there
  std::string missing;  ///< why it is not there, and the next step
};

/// What selection may know of a device. A plain value: tests plan for machines that they do not run on.
struct DeviceInfo {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  std::string name;  ///< CPU or GPU model
  // CPU
  int cores = 1;  ///< physical cores that this process may use
  bool avx2 = false, avx512 = false, avx512_bf16 = false, amx_bf16 = false;
  std::size_t l2_bytes = 0;  ///< per core
  // GPU
  int sm = 0;  ///< 90 for sm_90
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;
  std::size_t shared_bytes_per_block = 0;
  double memory_gb_per_s = 0;
  std::string software;  ///< "driver for CUDA 13.0, runtime 13.0"
  LibraryInfo cudnn, cublaslt;
  std::string cudnn_no_compiler;  ///< why cuDNN cannot use engines that it compiles at run time; empty when it can
};

/// This machine's CPU: model, physical cores within the affinity mask, instruction sets.
DeviceInfo detect_cpu();

}  // namespace resnet
