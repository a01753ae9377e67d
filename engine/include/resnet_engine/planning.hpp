#pragma once

#include <cstdint>
#include <string>

#include "resnet_engine/export.hpp"
#include "resnet_engine/model.hpp"
#include "resnet_engine/session.hpp"

namespace resnet {

/// The plan for an input of N x H x W on a GPU that is not there, as JSON like Session::describe_json() (docs/cli.md).
/// No device is touched and no weight is read: what a session there would choose, by the same estimates. Thread-safe.
/// @param device_info "sm_90,132" or "sm_90,132,3350": architecture, multiprocessors, GB/s of its memory; without the
///        last, the bandwidth of a well-known board of that architecture in proportion to its multiprocessors
/// @param options SessionOptions::device counts for nothing here
/// @throws Error invalid_argument for a text or an option that is not understood, bad_geometry, unsupported for a
///         precision that the GPU lacks, for a layer that nothing computes, and in a build without the CUDA kernels
RESNET_ENGINE_API std::string describe_plan_for(const Model& model, const std::string& device_info, std::int64_t n,
                                                std::int64_t h, std::int64_t w, const SessionOptions& options = {});

/// Measures every implementation that supports a layer of the model for an input of N x H x W on the device of
/// `options`: each one forced in turn, every step timed by the device's own clock in `iterations` runs after one more.
/// Returns a table of measured times as JSON text (docs/cli.md, "Measured times"), for SessionOptions::times_file.
/// One that turns out to refuse a layer is left out, with a warning.
/// SessionOptions::deterministic, force_implementations and times_file count for nothing here. Takes minutes on a CPU.
/// @param command what the table says of its origin
/// @throws Error as Session and Session::profile()
RESNET_ENGINE_API std::string measure_implementations(const Model& model, const SessionOptions& options, std::int64_t n,
                                                      std::int64_t h, std::int64_t w, int iterations,
                                                      const std::string& command);

/// Two tables of measured times for the same architecture in one; where both hold a time, `newer`'s counts.
/// Thread-safe.
/// @param where names `table` in errors
/// @throws Error bad_header, limit_exceeded, overflow, invalid_argument for different architectures
RESNET_ENGINE_API std::string merge_measured_times(const std::string& table, const std::string& newer,
                                                   const std::string& where);

}  // namespace resnet
