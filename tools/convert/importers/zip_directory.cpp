// Field offsets are those of the .ZIP File Format Specification (APPNOTE 6.3), sections 4.3.7 to 4.5.3.
#include "convert/importers/zip_directory.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "common/little_endian.hpp"
#include "convert/importers/importer.hpp"

namespace resnet::convert {
namespace {

constexpr std::size_t end_bytes = 22, locator_bytes = 20, zip64_end_bytes = 56, record_bytes = 46, header_bytes = 30;
constexpr std::uint64_t max_directory_bytes = 16u << 20;
constexpr std::uint64_t elsewhere = 0xFFFFFFFF;  // in a field whose value stands in the Zip64 record

[[noreturn]] void reject(const SourceFile& file, const std::string& message) {
  fail(ErrorCode::import_failed, message, file.name(), "download or copy the file again");
}

std::uint64_t number(std::span<const std::byte> bytes, std::size_t offset, std::size_t width) {
  return tools::little_endian(bytes.subspan(offset, width));
}

/// An entry's compressed size and the place of its local header.
struct Place {
  std::uint64_t bytes = 0, offset = 0;
};

Place place_of(std::span<const std::byte> record, std::span<const std::byte> extra) {
  Place place{number(record, 20, 4), number(record, 42, 4)};
  while (extra.size() >= 4) {
    const std::uint64_t id = number(extra, 0, 2), bytes = number(extra, 2, 2);
    if (bytes > extra.size() - 4) break;
    if (id == 1) {  // Zip64: of size, compressed size and offset those that did not fit
      std::size_t at = 4 + (number(record, 24, 4) == elsewhere ? 8u : 0u);
      for (std::uint64_t* value : {&place.bytes, &place.offset}) {
        if (*value != elsewhere || at + 8 > bytes + 4) continue;
        *value = number(extra, at, 8);
        at += 8;
      }
      break;
    }
    extra = extra.subspan(4 + static_cast<std::size_t>(bytes));
  }
  return place;
}

}  // namespace

ZipDirectory find_zip_directory(const SourceFile& file) {
  const auto truncated = [&] { reject(file, "does not end with a zip directory (truncated, or bytes were appended)"); };
  if (file.size() < end_bytes) reject(file, "is too short for a zip file");
  std::array<std::byte, end_bytes> end;
  const std::uint64_t at = file.size() - end_bytes;
  file.read(at, end);
  if (!starts_with(end, std::string_view("PK\5\6", 4)) || number(end, 20, 2) != 0) truncated();
  const ZipDirectory directory{number(end, 10, 2), number(end, 12, 4), number(end, 16, 4)};
  if (directory.entries != 0xFFFF && directory.bytes != elsewhere && directory.offset != elsewhere) return directory;

  // Zip64: a locator in front says where the longer end record is.
  if (at < locator_bytes + zip64_end_bytes) truncated();
  std::array<std::byte, locator_bytes> locator;
  file.read(at - locator_bytes, locator);
  const std::uint64_t place = number(locator, 8, 8);
  if (!starts_with(locator, std::string_view("PK\6\7", 4)) || place > at - locator_bytes - zip64_end_bytes) truncated();
  std::array<std::byte, zip64_end_bytes> longer;
  file.read(place, longer);
  if (!starts_with(longer, std::string_view("PK\6\6", 4))) truncated();
  return {number(longer, 32, 8), number(longer, 40, 8), number(longer, 48, 8)};
}

void check_zip_layout(const SourceFile& file, const ZipDirectory& directory) {
  const auto damaged = [&] { reject(file, "is a damaged zip file (its directory does not fit into it)"); };
  if (directory.offset > file.size() || directory.bytes > file.size() - directory.offset ||
      directory.bytes > max_directory_bytes) {
    damaged();
  }
  std::vector<std::byte> records(static_cast<std::size_t>(directory.bytes));
  file.read(directory.offset, records);

  struct Range {
    std::uint64_t begin, end;
    std::string_view name;
  };
  std::vector<Range> ranges;
  std::span<const std::byte> left = records;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    if (left.size() < record_bytes) damaged();
    const std::size_t name = number(left, 28, 2), extra = number(left, 30, 2), comment = number(left, 32, 2);
    if (name + extra + comment > left.size() - record_bytes) damaged();
    const Place place = place_of(left, left.subspan(record_bytes + name, extra));
    if (directory.offset < header_bytes || place.offset > directory.offset - header_bytes) damaged();
    std::array<std::byte, header_bytes> header;
    file.read(place.offset, header);
    const std::uint64_t data = place.offset + header_bytes + number(header, 26, 2) + number(header, 28, 2);
    ranges.push_back({place.offset,
                      checked_add(data, place.bytes, file.name()),
                      {reinterpret_cast<const char*>(left.data()) + record_bytes, name}});
    left = left.subspan(record_bytes + name + extra + comment);
  }
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const bool last = i + 1 == ranges.size();
    if (ranges[i].end <= (last ? directory.offset : ranges[i + 1].begin)) continue;
    const std::string other = last ? "the directory" : '"' + std::string(ranges[i + 1].name) + '"';
    reject(file, "the zip entries overlap: \"" + std::string(ranges[i].name) + "\" and " + other);
  }
}

}  // namespace resnet::convert
