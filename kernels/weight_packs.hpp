#pragma once

#include "kernels/kernel.hpp"

namespace resnet::kernels {

std::size_t plain_bytes(const Problem& problem);
void pack_plain(const Problem& problem, std::span<const float> values, std::byte* out);
/// The file's order ([K,R,S,C/groups] or [K,C]) in the problem's input type, rounded to nearest even.
inline constexpr WeightPack plain_weights{"plain", plain_bytes, pack_plain};

}  // namespace resnet::kernels
