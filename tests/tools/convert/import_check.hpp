#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "convert/importers/importer.hpp"
#include "convert/materialise.hpp"
#include "tools/convert/byte_files.hpp"

// How the tests of importers read a file, whole or damaged.
namespace resnet::test {

/// Reads the file by the importer that its bytes choose, and every storage that its tensors use.
inline convert::Imported read_imported(const convert::SourceFile& file) {
  convert::Imported named = convert::find_importer(file).read(file);
  for (const convert::SourceTensor& tensor : named.tensors) named.storages->read(tensor.storage);
  return named;
}

/// The text with which "test.pth" of these bytes is refused.
inline std::string import_refusal(const std::string& bytes) {
  const auto file = convert::SourceFile::from_bytes(to_bytes(bytes), "test.pth");
  const Error error = error_of([&] { read_imported(file); });
  EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
  return error.what();
}

/// The values of tensor `i`, an f32 one, in the source's order.
inline std::vector<float> floats(const convert::Imported& named, std::size_t i) {
  const auto storage = named.storages->read(named.tensors[i].storage);
  const convert::Materialised out = convert::materialise(named.tensors[i], storage, convert::WeightOrder::keep);
  std::vector<float> values(out.bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), out.bytes.data(), out.bytes.size());
  return values;
}

/// The bytes with the first `from`, which must be there, replaced by a text of the same or another length.
inline std::string replaced(std::string bytes, std::string_view from, std::string_view to) {
  const std::size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return bytes.replace(at, from.size(), to);
}

}  // namespace resnet::test
