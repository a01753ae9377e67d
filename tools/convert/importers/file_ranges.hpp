#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "convert/source_file.hpp"
#include "convert/tensors.hpp"

namespace resnet::convert {

/// Storages that lie in the file as they are, one after the other or not.
class FileRanges final : public StorageReader {
 public:
  struct Range {
    std::uint64_t offset = 0, bytes = 0;
  };
  /// @param file outlives this object
  FileRanges(const SourceFile& file, std::vector<Range> ranges) : file_(file), ranges_(std::move(ranges)) {}
  std::vector<std::byte> read(std::size_t storage) const override {
    return file_.read(ranges_.at(storage).offset, ranges_.at(storage).bytes);
  }

 private:
  const SourceFile& file_;
  std::vector<Range> ranges_;
};

}  // namespace resnet::convert
