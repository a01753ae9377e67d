#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace resnet {

/// The two implementations behind crc32c(); tests compare them. Same contract as crc32c().
std::uint32_t crc32c_table(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;
/// Needs crc32c_hardware_available().
std::uint32_t crc32c_hardware(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;
bool crc32c_hardware_available() noexcept;

}  // namespace resnet
