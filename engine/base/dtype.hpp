#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "resnet_engine/session.hpp"
#include "resnet_engine/tensor.hpp"

namespace resnet {

std::size_t size_of(DType dtype) noexcept;
std::string_view to_string(DType dtype) noexcept;
std::string_view to_string(Layout layout) noexcept;
std::string_view to_string(Precision precision) noexcept;
/// @throws Error invalid_argument that lists the names
Precision parse_precision(std::string_view name);
/// Element type of values that are computed in that precision.
DType value_dtype(Precision precision) noexcept;

/// IEEE half and bfloat16 conversions, round to nearest even, NaN kept quiet.
float f16_to_f32(std::uint16_t bits) noexcept;
std::uint16_t f32_to_f16(float value) noexcept;
float bf16_to_f32(std::uint16_t bits) noexcept;
std::uint16_t f32_to_bf16(float value) noexcept;

}  // namespace resnet
