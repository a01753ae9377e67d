#pragma once

#include <cstddef>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>

namespace resnet::test {

/// A whole file. @throws std::runtime_error
inline void write_bytes(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace resnet::test
