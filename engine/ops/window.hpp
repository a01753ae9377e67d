#pragma once

#include <cstdint>

#include "ops/op.hpp"

/// The arithmetic of sliding windows, in one place for convolution and pooling.
namespace resnet::ops {

/// One axis of a window operation with resolved padding. Output position i covers the input positions
/// i * stride - pad_before + j * dilation for j in [0, kernel).
struct WindowAxis {
  std::int64_t input = 0, kernel = 1, stride = 1, dilation = 1, pad_before = 0, pad_after = 0, output = 0;
};

struct Window {
  WindowAxis h, w;
};

/// Resolves the attributes stride, padding and pads (and dilation and ceil_mode where the op has them) for the first
/// input and an R x S kernel.
///
/// padding "explicit": pads are [top, left, bottom, right]; "valid": none; "same": output = ceil(input / stride) with
/// total = max((output - 1) stride + (kernel - 1) dilation + 1 - input, 0), the odd one after; "same_lower": the odd
/// one before. ceil_mode rounds the output up as PyTorch does: the last window must start inside the input or the
/// padding before it.
/// @throws Error bad_attribute, bad_geometry (kernel larger than the padded input)
Window resolve_window(const OpShapes& shapes, std::int64_t R, std::int64_t S);

}  // namespace resnet::ops
