#pragma once

#include <string_view>

#include "base/dtype.hpp"
#include "base/support.hpp"

namespace resnet::kernels {

/// Compute capability from which the kernels run at all, and from which GPUs multiply in a precision.
constexpr int oldest_sm = 75;
constexpr int oldest_sm_of(Precision precision) {
  return precision == Precision::bf16 || precision == Precision::tf32 ? 80 : oldest_sm;
}

/// Whether kernels that were compiled for `architectures` (CudaApi::architectures) run on a GPU of compute capability
/// `sm`, and how to get them if not: machine code runs on later GPUs of its major generation, PTX ("90", "90-virtual")
/// on every later one, and what has a suffix ("90a") on that one alone.
Support compiled_for(std::string_view architectures, int sm);

}  // namespace resnet::kernels
