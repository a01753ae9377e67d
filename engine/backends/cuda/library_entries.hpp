#pragma once

#include <span>

#include "backends/backend.hpp"

namespace resnet::cuda {

/// Convolutions through cuDNN ("cudnn", "cudnn_exact") and dense layers through cuBLASLt ("cublaslt"). Each refuses
/// everything where its library is not loaded, with the reason. Planning measures (plan_choice.hpp).
std::span<const Implementation* const> library_entries();

}  // namespace resnet::cuda
