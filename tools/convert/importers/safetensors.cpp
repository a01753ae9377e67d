// safetensors, read as strictly as our own files: contiguous from 0, no holes, no duplicates, nothing behind the end.
#include <algorithm>
#include <array>
#include <utility>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "base/json.hpp"
#include "common/little_endian.hpp"
#include "convert/advice.hpp"
#include "convert/importers/file_ranges.hpp"
#include "convert/importers/importer.hpp"

namespace resnet::convert {
namespace {

constexpr std::uint64_t max_header = 16u << 20;

std::uint64_t header_length(std::span<const std::byte> head) { return tools::little_endian(head.first(8)); }

bool sniff(std::span<const std::byte> head, std::uint64_t file_bytes) {
  // The length is not compared with the file's: a truncated file shall be called truncated.
  return file_bytes > 9 && head.size() > 9 && head[8] == std::byte{'{'} && header_length(head) <= 100'000'000;
}

struct TypeName {
  std::string_view name;
  SourceType type;
  std::int64_t bits;
};
constexpr std::array<TypeName, 21> type_names = {{
    {"F64", SourceType::f64, 64},      {"F32", SourceType::f32, 32},      {"F16", SourceType::f16, 16},
    {"BF16", SourceType::bf16, 16},    {"I64", SourceType::i64, 64},      {"I32", SourceType::i32, 32},
    {"I16", SourceType::i16, 16},      {"I8", SourceType::i8, 8},         {"U8", SourceType::u8, 8},
    {"BOOL", SourceType::boolean, 8},  {"U16", SourceType::other, 16},    {"U32", SourceType::other, 32},
    {"U64", SourceType::other, 64},    {"C64", SourceType::other, 64},    {"F8_E4M3", SourceType::other, 8},
    {"F8_E5M2", SourceType::other, 8}, {"F8_E8M0", SourceType::other, 8}, {"F8_E4M3FNUZ", SourceType::other, 8},
    {"F4", SourceType::other, 4},      {"F6_E2M3", SourceType::other, 6}, {"F6_E3M2", SourceType::other, 6},
}};

std::uint64_t as_offset(const Json& json, const std::string& where) {
  const std::int64_t value = json.as_int(where);
  if (value < 0) fail(ErrorCode::bad_offsets, "negative offset " + std::to_string(value), where);
  return static_cast<std::uint64_t>(value);
}

struct Entry {
  SourceTensor tensor;
  std::uint64_t begin = 0, end = 0;
};

Entry parse_entry(const std::string& name, const Json& json, const std::string& where) {
  Entry entry;
  entry.tensor.name = name;
  for (const auto& [key, value] : json.as_object(where)) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      fail(ErrorCode::bad_header, "unknown field \"" + key + '"', where);
    }
  }
  const std::string& dtype = json.at("dtype", where).as_string(where);
  const auto type = std::find_if(type_names.begin(), type_names.end(), [&](const auto& t) { return t.name == dtype; });
  if (type == type_names.end()) {
    fail(ErrorCode::bad_dtype, "unknown dtype " + dtype, where, "save the weights as F32, F16, BF16 or F64");
  }
  entry.tensor.type = type->type;
  if (type->type == SourceType::other) entry.tensor.other_type = type->name;
  for (const Json& size : json.at("shape", where).as_array(where)) entry.tensor.shape.push_back(size.as_int(where));
  const auto& offsets = json.at("data_offsets", where).as_array(where);
  if (offsets.size() != 2) fail(ErrorCode::bad_header, "data_offsets is not [begin, end]", where);
  entry.begin = as_offset(offsets[0], where);
  entry.end = as_offset(offsets[1], where);
  const std::int64_t elements = element_count(entry.tensor.shape, where);
  entry.tensor.strides = row_major_strides(entry.tensor.shape, where);
  const std::int64_t bits = checked_mul(elements, type->bits, where);
  if (entry.end < entry.begin || bits % 8 != 0 || entry.end - entry.begin != static_cast<std::uint64_t>(bits / 8)) {
    fail(ErrorCode::bad_offsets,
         "data_offsets [" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "] do not hold " +
             std::to_string(elements) + " elements of " + dtype,
         where);
  }
  if (entry.tensor.type != SourceType::other) check_view(entry.tensor, elements);
  return entry;
}

Imported read_file(const SourceFiles& files) {
  const SourceFile& file = files.main;
  const std::uint64_t length = header_length(file.read(0, 8));
  if (length > max_header) {
    fail(ErrorCode::limit_exceeded, "the header claims " + std::to_string(length) + " bytes, the limit is 16 MiB",
         file.name());
  }
  const auto header = file.read(8, length);
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  const std::size_t end = text.find_last_not_of(' ');  // the header may be padded with spaces, and with nothing else
  if (end == std::string_view::npos || text[end] != '}') {
    fail(ErrorCode::bad_header, "the header ends neither in } nor in spaces behind it", file.name(),
         "download or copy the file again");
  }
  const Json json = parse_json(text.substr(0, end + 1), file.name());

  std::vector<Entry> entries;
  Imported result;
  result.format = "safetensors";
  for (const auto& [name, value] : json.as_object(file.name())) {
    if (name == "__metadata__") {
      const std::string where = file.name() + ": __metadata__";
      for (const auto& [key, entry] : value.as_object(where)) {
        entry.as_string(where + ' ' + key);
        if (key == "resnet_engine.version") {
          fail(ErrorCode::import_failed, "is a model file (.rne) already", file.name(),
               "there is nothing to convert; resnet_inspect shows what it holds");
        }
      }
      continue;
    }
    entries.push_back(parse_entry(name, value, file.name() + ": " + name));
  }

  std::vector<std::size_t> by_offset(entries.size());
  for (std::size_t i = 0; i < by_offset.size(); ++i) by_offset[i] = i;
  std::stable_sort(by_offset.begin(), by_offset.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(entries[a].begin, entries[a].end) < std::pair(entries[b].begin, entries[b].end);
  });
  std::uint64_t position = 0;
  for (const std::size_t i : by_offset) {
    if (entries[i].begin != position) {
      fail(ErrorCode::bad_offsets,
           "starts at byte " + std::to_string(entries[i].begin) + " of the data, expected " + std::to_string(position) +
               " (overlap or hole)",
           file.name() + ": " + entries[i].tensor.name);
    }
    position = entries[i].end;
  }
  const std::uint64_t expected = checked_add(checked_add(position, length, file.name()), std::uint64_t{8}, file.name());
  if (expected > file.size()) {
    fail(ErrorCode::truncated,
         "has " + std::to_string(file.size()) + " bytes, its header describes " + std::to_string(expected), file.name(),
         "download or copy it again");
  }
  if (expected < file.size()) {
    fail(ErrorCode::trailing_bytes, std::to_string(file.size() - expected) + " bytes behind the last tensor",
         file.name());
  }

  std::vector<FileRanges::Range> ranges;
  for (Entry& entry : entries) {
    entry.tensor.storage = ranges.size();
    ranges.push_back({8 + length + entry.begin, entry.end - entry.begin});
    result.tensors.push_back(std::move(entry.tensor));
  }
  result.storages = std::make_shared<FileRanges>(file, std::move(ranges));
  return result;
}

Imported read(const SourceFiles& files) {
  return with_advice("download or copy the file again", [&] { return read_file(files); });
}

}  // namespace

const Importer safetensors_importer = {"safetensors", sniff, read};

}  // namespace resnet::convert
