#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace resnet {

/// Length of the JSON header from the first bytes of a file (8, or all of a shorter one).
/// @throws Error truncated, limit_exceeded, bad_header
std::uint64_t header_length(std::span<const std::byte> first_bytes, std::uint64_t file_bytes, std::string_view where);

}  // namespace resnet
