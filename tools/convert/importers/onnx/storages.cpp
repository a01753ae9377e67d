#include <utility>

#include "convert/importers/onnx/model.hpp"

namespace resnet::convert::onnx {

std::size_t Storages::add(const SourceFile& file, std::uint64_t offset, std::uint64_t bytes) {
  entries_.push_back({&file, offset, bytes, {}});
  return entries_.size() - 1;
}

std::size_t Storages::add(std::vector<std::byte> bytes) {
  const std::uint64_t size = bytes.size();
  entries_.push_back({nullptr, 0, size, std::move(bytes)});
  return entries_.size() - 1;
}

std::vector<std::byte> Storages::read(std::size_t storage) const {
  const Entry& entry = entries_.at(storage);
  return entry.file == nullptr ? entry.owned : entry.file->read(entry.offset, entry.bytes);
}

}  // namespace resnet::convert::onnx
