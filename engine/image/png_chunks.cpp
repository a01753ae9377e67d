#include "image/png_chunks.hpp"

#include <array>
#include <cstring>
#include <string>

#include "base/check.hpp"
#include "image/limits.hpp"

namespace resnet {
namespace {

constexpr std::size_t signature_bytes = 8;
constexpr std::size_t chunk_overhead = 12;  // length, type and CRC

std::uint32_t big_endian(std::span<const std::uint8_t> bytes, std::size_t offset) {
  return static_cast<std::uint32_t>(bytes[offset]) << 24 | static_cast<std::uint32_t>(bytes[offset + 1]) << 16 |
         static_cast<std::uint32_t>(bytes[offset + 2]) << 8 | bytes[offset + 3];
}

struct Chunk {
  std::string_view type;
  std::span<const std::uint8_t> typed_payload;  ///< type and payload: what the CRC covers
  std::uint32_t crc = 0;
};

/// The chunk at `offset`, or one with an empty type when the file ends before it does.
Chunk chunk_at(std::span<const std::uint8_t> bytes, std::size_t offset) {
  if (bytes.size() < offset + chunk_overhead) return {};
  const std::size_t length = big_endian(bytes, offset);
  if (bytes.size() - offset - chunk_overhead < length) return {};
  const auto typed = bytes.subspan(offset + 4, 4 + length);
  return {{reinterpret_cast<const char*>(typed.data()), 4}, typed, big_endian(bytes, offset + 8 + length)};
}

std::uint32_t crc32(std::span<const std::uint8_t> bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value & 1 ? 0xedb88320u ^ value >> 1 : value >> 1;
      entries[i] = value;
    }
    return entries;
  }();
  std::uint32_t crc = 0xffffffffu;
  for (const std::uint8_t byte : bytes) crc = table[(crc ^ byte) & 0xff] ^ crc >> 8;
  return ~crc;
}

}  // namespace

PngHeader read_png_header(std::span<const std::uint8_t> bytes, std::string_view where) {
  const Chunk chunk = chunk_at(bytes, signature_bytes);
  constexpr std::size_t ihdr_bytes = 13;
  if (chunk.type != "IHDR" || chunk.typed_payload.size() != 4 + ihdr_bytes) {
    fail(ErrorCode::image_corrupt, "the PNG header is incomplete or damaged", where,
         "copy or export the picture again");
  }
  const auto payload = chunk.typed_payload.subspan(4);
  PngHeader header;
  header.width = big_endian(payload, 0);
  header.height = big_endian(payload, 4);
  header.bit_depth = payload[8];
  header.color_type = payload[9];
  check_image_size(header.height, header.width, where);
  if (header.color_type == 0 && header.bit_depth == 16) {
    fail(
        ErrorCode::image_unsupported,
        "16-bit grey PNG files are not decoded: programs disagree on how to bring them to 8 bits (Pillow clips at 255)",
        where, "convert the picture to 8 bits with the scaling that the network was trained with");
  }
  return header;
}

std::span<const std::uint8_t> find_png_chunk(std::span<const std::uint8_t> bytes, std::string_view type) {
  std::size_t offset = signature_bytes;
  for (Chunk chunk = chunk_at(bytes, offset); !chunk.type.empty(); chunk = chunk_at(bytes, offset)) {
    if (chunk.type == type) return chunk.typed_payload.subspan(4);
    if (chunk.type == "IEND") break;
    offset += chunk.typed_payload.size() + 8;
  }
  return {};
}

void check_png_chunks(std::span<const std::uint8_t> bytes, std::string_view where) {
  std::size_t offset = signature_bytes;
  for (;;) {
    const Chunk chunk = chunk_at(bytes, offset);
    const std::string place = " at byte " + std::to_string(offset);
    if (chunk.type.empty()) {
      fail(ErrorCode::image_corrupt, "truncated: the PNG data ends within the chunk" + place, where,
           "copy or export the picture again");
    }
    if (crc32(chunk.typed_payload) != chunk.crc) {
      fail(ErrorCode::image_corrupt, "wrong checksum of the PNG chunk" + place, where,
           "copy or export the picture again");
    }
    if (chunk.type == "IEND") return;
    offset += chunk.typed_payload.size() + 8;
  }
}

}  // namespace resnet
