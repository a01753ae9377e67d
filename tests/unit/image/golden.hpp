#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "resnet_engine/image.hpp"
#include "support/error_of.hpp"

namespace resnet::test {

/// The same bytes as noise() in tests/golden/images/make.py.
Image noise(std::int64_t height, std::int64_t width, std::int64_t channels, std::uint32_t seed);

std::uint32_t crc32(std::span<const std::uint8_t> bytes);
std::uint32_t crc32(const std::vector<float>& values);

/// Path of a file in tests/golden/images.
std::string golden_path(const std::string& name);
std::vector<std::uint8_t> read_golden(const std::string& name);
/// The entries of a JSON array in tests/golden/images.
std::vector<Json> read_golden_json(const std::string& name);

/// The names of all golden pictures that end in `suffix`.
std::vector<std::string> golden_files(const std::string& suffix);

}  // namespace resnet::test
