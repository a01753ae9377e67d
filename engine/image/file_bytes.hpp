#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace resnet {

/// The bytes of one file, read in one go.
struct FileBytes {
  std::unique_ptr<std::uint8_t[]> data;
  std::size_t size = 0;

  std::span<const std::uint8_t> view() const noexcept { return {data.get(), size}; }
};

/// Reads a regular file of at most max_image_file_bytes. Never blocks on a pipe or a device: both are refused by kind.
/// @throws Error io, file_changed, image_corrupt (empty), image_limit, out_of_memory; the path is the place
FileBytes read_image_file(const std::string& path);

}  // namespace resnet
