// Compiled in every build, so that one without protobuf still knows what it cannot read.
#include <algorithm>
#include <optional>

#include "convert/importers/onnx/model.hpp"

namespace resnet::convert::onnx {
namespace {

/// Protobuf's base-128 number at `position`, which moves behind it; nothing when it is cut or too long.
std::optional<std::uint64_t> varint(std::span<const std::byte> head, std::size_t& position) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && position < head.size(); shift += 7) {
    const auto byte = std::to_integer<std::uint64_t>(head[position++]);
    value |= (byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

}  // namespace

bool sniff(std::span<const std::byte> head, std::uint64_t) {
  constexpr std::uint64_t numbers[] = {1, 5};                          // ir_version, model_version
  constexpr std::uint64_t records[] = {2, 3, 4, 6, 7, 8, 14, 20, 25};  // producer ... graph, opset_import ... functions
  const auto any_of = [](std::span<const std::uint64_t> list, std::uint64_t field) {
    return std::find(list.begin(), list.end(), field) != list.end();
  };
  int fields = 0;
  bool version = false;
  for (std::size_t position = 0; position < head.size(); ++fields) {
    const auto tag = varint(head, position);
    if (!tag) break;
    const std::uint64_t field = *tag >> 3, wire = *tag & 7;
    const bool number = wire == 0 && any_of(numbers, field);
    if (!number && !(wire == 2 && any_of(records, field))) return false;
    const auto value = varint(head, position);
    if (!value) break;
    if (field == 1) {
      if (*value < 1 || *value > 1000) return false;
      version = true;
    }
    if (number) continue;
    // The length is not compared with the file's: a truncated file shall be called truncated.
    if (*value > head.size() - position) return version || fields > 0 || field == 7;
    position += static_cast<std::size_t>(*value);
  }
  return version ? fields > 1 : fields > 2;
}

}  // namespace resnet::convert::onnx
