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

}  // namespace resnet
