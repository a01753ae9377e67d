#pragma once

#include <cstdint>

#include "base/device_info.hpp"
#include "base/problem.hpp"

/// The paper model behind estimate_us: waves x tile time, bytes over bandwidth, a fixed cost per launch.
namespace resnet::kernels {

/// Cost of one kernel inside a CUDA graph, in us.
constexpr double launch_us = 1.5;
/// Clocks per us that the model takes for every device.
constexpr double clock_per_us = 1700;
/// What one multiprocessor gets out of L2 per us at most.
constexpr double l2_port_bytes_per_us = 64 * clock_per_us;

/// Multiply-accumulates per us of the whole device through mma.sync with fp32 accumulation, or through its CUDA cores
/// for Precision::fp32. Rates per clock and multiprocessor are the architecture tables' (programming guides), the clock
/// is clock_per_us; on sm_90 mma.sync reaches about 62 % of the warpgroup rate.
double macs_per_us(const DeviceInfo& device, Precision precision);
/// fp16 multiply-accumulates per clock of one multiprocessor's matrix unit.
double matrix_macs_per_clock(const DeviceInfo& device);
/// Blocks of `shared_bytes` that fit a multiprocessor side by side: at least 1, at most `most`.
int resident_blocks(const DeviceInfo& device, std::int64_t shared_bytes, int most);
/// Bytes per us that a copy reaches: 88 % of the nominal bandwidth.
double bytes_per_us(const DeviceInfo& device);

/// A tiled kernel: `tiles` blocks of `macs_per_tile`, of which `blocks_per_multiprocessor` run side by side at
/// `efficiency` of the unit's rate; `bytes` that must move at least.
double tiled_us(const DeviceInfo& device, Precision precision, double tiles, double macs_per_tile,
                int blocks_per_multiprocessor, double efficiency, double bytes);
/// A kernel that only moves bytes.
double streaming_us(const DeviceInfo& device, double bytes);

/// Bytes that a problem must move at least: inputs, filter and output once.
double least_bytes(const ConvProblem& problem);
double least_bytes(const DenseProblem& problem);

}  // namespace resnet::kernels
