#include "unit/image/golden.hpp"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace resnet::test {

Image noise(std::int64_t height, std::int64_t width, std::int64_t channels, std::uint32_t seed) {
  Image image{height, width, channels, {}};
  image.pixels.resize(static_cast<std::size_t>(height * width * channels));
  std::uint32_t counter = seed * 0x9E3779B9u;
  for (std::uint8_t& pixel : image.pixels) {
    std::uint32_t x = counter++;
    x ^= x >> 16;
    x *= 0x85EBCA6Bu;
    x ^= x >> 13;
    x *= 0xC2B2AE35u;
    x ^= x >> 16;
    pixel = static_cast<std::uint8_t>(x);
  }
  return image;
}

std::uint32_t crc32(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? 0xedb88320u ^ crc >> 1 : crc >> 1;
  }
  return ~crc;
}

std::uint32_t crc32(const std::vector<float>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return crc32({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

std::string golden_path(const std::string& name) { return RESNET_SOURCE_DIR "/tests/golden/images/" + name; }

std::vector<std::uint8_t> read_golden(const std::string& name) {
  std::ifstream file(golden_path(name), std::ios::binary);
  if (!file) throw std::runtime_error("missing golden file " + golden_path(name));
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Json> read_golden_json(const std::string& name) {
  const auto bytes = read_golden(name);
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name).as_array();
}

std::vector<std::string> golden_files(const std::string& suffix) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_path(""))) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(suffix) && !name.ends_with(".pixels.png")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace resnet::test
