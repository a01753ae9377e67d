#include "kernels/estimate.hpp"

#include <algorithm>
#include <cmath>

#include "base/dtype.hpp"

namespace resnet::kernels {
namespace {

double fp32_macs_per_clock(int sm) { return sm == 75 || sm == 80 ? 64 : 128; }

double elements(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
  return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c) * static_cast<double>(d);
}

int shared_bytes_per_multiprocessor(int sm) {
  switch (sm) {
    case 75:
      return 64 * 1024;
    case 80:
    case 87:
      return 164 * 1024;
    case 90:
    case 100:
    case 103:
    case 110:
      return 228 * 1024;
    default:
      return 100 * 1024;
  }
}

}  // namespace

double matrix_macs_per_clock(const DeviceInfo& device) {
  switch (device.sm) {
    case 75:
    case 86:
    case 89:
    case 120:
      return 512;
    case 90:
    case 100:
      return 2048 * 0.62;  // what mma.sync reaches
    default:
      return 1024;
  }
}

int resident_blocks(const DeviceInfo& device, std::int64_t shared_bytes, int most) {
  const int reserved = device.sm == 75 ? 0 : 1024;  // by the system, per block
  const std::int64_t fit = shared_bytes_per_multiprocessor(device.sm) / (shared_bytes + reserved);
  return static_cast<int>(std::clamp<std::int64_t>(fit, 1, most));
}

double macs_per_us(const DeviceInfo& device, Precision precision) {
  double per_clock = fp32_macs_per_clock(device.sm);
  if (precision == Precision::fp16 || precision == Precision::bf16) per_clock = matrix_macs_per_clock(device);
  if (precision == Precision::tf32) per_clock = matrix_macs_per_clock(device) / 2;
  return per_clock * clock_per_us * std::max(device.multiprocessors, 1);
}

double bytes_per_us(const DeviceInfo& device) { return std::max(device.memory_gb_per_s, 1.0) * 1e3 * 0.88; }

double tiled_us(const DeviceInfo& device, Precision precision, double tiles, double macs_per_tile,
                int blocks_per_multiprocessor, double efficiency, double bytes) {
  const double multiprocessors = std::max(device.multiprocessors, 1);
  const double waves = std::ceil(tiles / (multiprocessors * blocks_per_multiprocessor));
  // Blocks that share a multiprocessor share its unit.
  const double resident = std::min<double>(blocks_per_multiprocessor, std::ceil(tiles / multiprocessors));
  const double tile_us = macs_per_tile * resident / (macs_per_us(device, precision) / multiprocessors * efficiency);
  return launch_us + std::max(waves * tile_us, bytes / bytes_per_us(device));
}

double streaming_us(const DeviceInfo& device, double bytes) { return launch_us + bytes / bytes_per_us(device); }

double least_bytes(const ConvProblem& p) {
  const auto in = static_cast<double>(size_of(p.in)), out = static_cast<double>(size_of(p.out));
  // A strided 1x1 filter touches only the positions that it samples.
  const bool sparse = p.R == 1 && p.S == 1;
  const double input =
      sparse ? elements(p.N, std::min(p.P, p.H), std::min(p.Q, p.W), p.C) : elements(p.N, p.H, p.W, p.C);
  const double output = elements(p.N, p.P, p.Q, p.K);
  return input * in + elements(p.K, p.R, p.S, p.C / p.groups) * in + output * out * (p.epilogue.residual ? 2 : 1);
}

double least_bytes(const DenseProblem& p) {
  const auto in = static_cast<double>(size_of(p.in)), out = static_cast<double>(size_of(p.out));
  const double output = elements(p.N, p.K, 1, 1);
  return (elements(p.N, p.C, 1, 1) + elements(p.K, p.C, 1, 1)) * in + output * out * (p.epilogue.residual ? 2 : 1);
}

}  // namespace resnet::kernels
