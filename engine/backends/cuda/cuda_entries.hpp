#pragma once

#include <span>

#include "backends/backend.hpp"

namespace resnet::cuda {

/// The CUDA backend's ordered list.
std::span<const Implementation* const> cuda_entries();

}  // namespace resnet::cuda
