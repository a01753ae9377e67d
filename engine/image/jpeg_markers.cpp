#include "image/jpeg_markers.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.hpp"
#include "image/limits.hpp"

namespace resnet {
namespace {

[[noreturn]] void corrupt(std::string message, std::size_t offset, std::string_view where) {
  fail(ErrorCode::image_corrupt, std::move(message) + " at byte " + std::to_string(offset), where,
       "copy or export the picture again");
}

[[noreturn]] void unsupported(std::string what, std::string_view where) {
  fail(ErrorCode::image_unsupported, std::move(what) + " JPEG files are not decoded", where,
       "convert the picture to a baseline JPEG or to PNG");
}

bool is_frame_header(int marker) {  // SOF0..SOF15 without DHT, JPG and DAC, which share their range
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

bool is_restart(int marker) { return marker >= 0xd0 && marker <= 0xd7; }

/// Steps through the markers of a JPEG file.
class MarkerWalk {
 public:
  MarkerWalk(std::span<const std::uint8_t> bytes, std::string_view where) : bytes_(bytes), where_(where) {}

  std::size_t offset() const { return offset_; }

  /// The next marker's code. Fill bytes (0xff) before it are legal, anything else is not.
  int next_marker() {
    if (byte_at(offset_) != 0xff) corrupt("stray bytes between JPEG segments", offset_, where_);
    while (byte_at(offset_) == 0xff) ++offset_;
    if (byte_at(offset_) == 0) corrupt("stray bytes between JPEG segments", offset_, where_);
    return byte_at(offset_++);
  }

  /// The payload of the segment that starts here; moves behind it.
  std::span<const std::uint8_t> segment() {
    const std::size_t length = static_cast<std::size_t>(byte_at(offset_) << 8 | byte_at(offset_ + 1));
    if (length < 2) corrupt("a JPEG segment of impossible length", offset_, where_);
    if (bytes_.size() - offset_ < length) ended();
    const auto payload = bytes_.subspan(offset_ + 2, length - 2);
    offset_ += length;
    return payload;
  }

  /// Moves over compressed data to the marker that ends it.
  void skip_scan_data() {
    for (;;) {
      const void* found =
          offset_ < bytes_.size() ? std::memchr(&bytes_[offset_], 0xff, bytes_.size() - offset_) : nullptr;
      if (!found) ended();
      offset_ = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - bytes_.data());
      std::size_t code_offset = offset_ + 1;
      while (byte_at(code_offset) == 0xff) ++code_offset;  // fill bytes
      const int code = byte_at(code_offset);
      if (code != 0 && !is_restart(code)) return;
      offset_ = code_offset + 1;
    }
  }

 private:
  int byte_at(std::size_t offset) const {
    if (offset >= bytes_.size()) ended();
    return bytes_[offset];
  }
  [[noreturn]] void ended() const {
    corrupt("truncated: the JPEG data ends without its end marker", bytes_.size(), where_);
  }

  std::span<const std::uint8_t> bytes_;
  std::string_view where_;
  std::size_t offset_ = 2;  // behind the start-of-image marker that sniff_image has seen
};

void read_frame(int marker, std::span<const std::uint8_t> payload, const MarkerWalk& walk, std::string_view where,
                JpegHeader& header) {
  if (header.components != 0) corrupt("a second JPEG frame header", walk.offset(), where);
  if (payload.size() < 6) corrupt("a JPEG frame header that is too short", walk.offset(), where);
  switch (marker) {
    case 0xc0:
    case 0xc1:
    case 0xc2:
      break;
    case 0xc9:
    case 0xca:
      header.arithmetic = true;
      break;
    case 0xc3:
    case 0xcb:
      unsupported("Lossless", where);
    default:
      unsupported("Hierarchical", where);
  }
  if (payload[0] != 8) unsupported(std::to_string(payload[0]) + "-bit", where);
  header.height = payload[1] << 8 | payload[2];
  header.width = payload[3] << 8 | payload[4];
  header.components = payload[5];
  if (header.components != 1 && header.components != 3 && header.components != 4) {
    unsupported(std::to_string(header.components) + "-component", where);
  }
  check_image_size(header.height, header.width, where);
}

bool starts_with(std::span<const std::uint8_t> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

}  // namespace

JpegHeader scan_jpeg(std::span<const std::uint8_t> bytes, std::string_view where) {
  using namespace std::string_view_literals;
  constexpr auto exif_name = "Exif\0\0"sv;
  JpegHeader header;
  MarkerWalk walk(bytes, where);
  for (;;) {
    const int marker = walk.next_marker();
    if (marker == 0xd9) break;                                             // EOI
    if (marker == 0x01 || marker == 0xd8 || is_restart(marker)) continue;  // no payload; the decoder judges them
    const auto payload = walk.segment();
    if (is_frame_header(marker)) {
      read_frame(marker, payload, walk, where, header);
    } else if (marker == 0xe1 && header.exif.empty() && starts_with(payload, exif_name)) {
      header.exif = payload.subspan(exif_name.size());
    } else if (marker == 0xee && starts_with(payload, "Adobe"sv)) {
      header.adobe_marker = true;
    } else if (marker == 0xda) {
      if (header.components == 0) corrupt("a JPEG scan before the frame header", walk.offset(), where);
      ++header.scans;
      const std::int64_t most =
          std::min<std::int64_t>(max_jpeg_scans, max_jpeg_scan_pixels / (header.height * header.width));
      if (header.scans > most) {
        fail(ErrorCode::image_limit,
             "more than " + std::to_string(most) + " scans in a JPEG of " + std::to_string(header.width) + "x" +
                 std::to_string(header.height) + " pixels",
             where, "save the picture as baseline JPEG");
      }
      walk.skip_scan_data();
    }
  }
  if (header.scans == 0) corrupt("a JPEG file without pixel data", walk.offset(), where);
  return header;
}

}  // namespace resnet
