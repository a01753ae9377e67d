#pragma once

#include <memory>
#include <span>

#include "backends/backend.hpp"

namespace resnet {

/// The CPU backend over oneDNN. `fallback` (the reference entries) is appended to its ordered list, for what oneDNN
/// does not take. Precisions: fp32; bf16 where the CPU computes it.
std::shared_ptr<Backend> make_cpu_backend(std::span<const Implementation* const> fallback);

}  // namespace resnet
