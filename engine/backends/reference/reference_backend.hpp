#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "backends/backend.hpp"

namespace resnet {

/// Entries over the op table's reference loops: every op, host memory, f32. They also take tf32, fp16 and bf16
/// problems, which they compute in f32, so that a backend that appends them has an entry for everything.
std::span<const Implementation* const> reference_entries();

/// Between f32 and u8 sources, f32 results, NHWC and NCHW, any channel padding.
const Implementation& reference_conversion();

/// A backend of the reference entries alone: one thread, fp32. `name` is "reference", or "cpu" where there is no
/// better.
std::shared_ptr<Backend> make_reference_backend(std::string_view name);

}  // namespace resnet
