#pragma once

#include <cstdint>

#include "base/device_info.hpp"
#include "base/problem.hpp"

/// The paper model behind estimate_us: waves x tile time, bytes over bandwidth, a fixed cost per launch.
namespace resnet::kernels {

/// Cost of one kernel inside a CUDA graph, in us.
constexpr double launch_us = 1.5;

/// Multiply-accumulates per us of the whole device through mma.sync with fp32 accumulation, or through its CUDA cores
/// for Precision::fp32. Rates per clock and multiprocessor are the architecture tables' (programming guides), the clock
/// is taken as 1.7 GHz; on sm_90 mma.sync reaches about 62 % of the warpgroup rate.
double macs_per_us(const DeviceInfo& device, Precision precision);
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
