#include <gtest/gtest.h>

#include <string>

#include "convert/importers/importer.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

std::string file_bytes(const std::string& header, std::size_t data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + std::string(data, '\1');
}

Imported read(const SourceFile& file) { return safetensors_importer.read(file); }

ErrorCode refusal(const std::string& header, std::size_t data) {
  const SourceFile file = SourceFile::from_bytes(to_bytes(file_bytes(header, data)), "w.safetensors");
  const Error error = error_of([&] { read(file); });
  EXPECT_NE(std::string(error.what()).find("w.safetensors"), std::string::npos) << error.what();
  EXPECT_FALSE(error.next().empty()) << error.what();
  return error.code();
}

TEST(Safetensors, ReadsTensorsMetadataAndPadding) {
  const SourceFile file = SourceFile::from_bytes(
      to_bytes(file_bytes(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2],"data_offsets":[24,28]},)"
                          R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                          R"("s":{"dtype":"I64","shape":[],"data_offsets":[28,36]},)"
                          R"("e":{"dtype":"F32","shape":[0],"data_offsets":[36,36]}}   )",
                          36)),
      "w.safetensors");
  EXPECT_EQ(find_importer(file).name, "safetensors");
  const Imported named = read(file);
  ASSERT_EQ(named.tensors.size(), 4u);
  EXPECT_EQ(named.tensors[0].name, "b");
  EXPECT_EQ(named.tensors[0].type, SourceType::f16);
  EXPECT_EQ(named.tensors[1].shape, (TensorShape{2, 3}));
  EXPECT_EQ(named.tensors[1].strides, (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(named.storages->read(named.tensors[1].storage).size(), 24u);
}

TEST(Safetensors, NamesTheBrokenRule) {
  const std::string a = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)";
  EXPECT_EQ(refusal(a + "[0,8]}", 8), ErrorCode::bad_header);
  EXPECT_EQ(refusal(a + "[0,8]}}", 7), ErrorCode::truncated);
  EXPECT_EQ(refusal(a + "[0,8]}}", 9), ErrorCode::trailing_bytes);
  EXPECT_EQ(refusal(a + "[4,12]}}", 12), ErrorCode::bad_offsets);  // hole at the start
  EXPECT_EQ(refusal(a + "[0,12]}}", 12), ErrorCode::bad_offsets);  // too long for its shape
  EXPECT_EQ(refusal(a + "[8,0]}}", 8), ErrorCode::bad_offsets);
  EXPECT_EQ(refusal(a + "[-8,0]}}", 8), ErrorCode::bad_offsets);
  EXPECT_EQ(refusal(a + "[0]}}", 8), ErrorCode::bad_header);
  EXPECT_EQ(refusal(a + "[0,8],\"x\":1}}", 8), ErrorCode::bad_header);
  EXPECT_EQ(refusal(R"({"a":{"dtype":"Q8","shape":[2],"data_offsets":[0,8]}})", 8), ErrorCode::bad_dtype);
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), ErrorCode::import_failed);
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8),
            ErrorCode::overflow);
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[2305843009213693952],"data_offsets":[0,8]}})", 8),
            ErrorCode::overflow);
  EXPECT_EQ(refusal(R"({"__metadata__":{"a":1}})", 0), ErrorCode::bad_header);
}

TEST(Safetensors, KeepsTheNameOfATypeThatIsNoWeights) {
  const SourceFile file = SourceFile::from_bytes(
      to_bytes(file_bytes(R"({"a":{"dtype":"U32","shape":[2],"data_offsets":[0,8]}})", 8)), "w.safetensors");
  const Imported named = read(file);
  EXPECT_EQ(named.tensors.at(0).other_type, "U32");
}

TEST(Safetensors, IsPaddedWithSpacesOnly) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const SourceFile padded = SourceFile::from_bytes(to_bytes(file_bytes(header + "   ", 8)), "w.safetensors");
  EXPECT_EQ(read(padded).tensors.size(), 1u);
  for (const char pad : {'\t', '\n', '\0'}) {
    EXPECT_EQ(refusal(header + std::string(3, pad), 8), ErrorCode::bad_header) << int{pad};
    EXPECT_EQ(refusal(header + std::string(1, pad) + "  ", 8), ErrorCode::bad_header) << int{pad};
  }
  EXPECT_EQ(refusal(header + std::string(1, '\0') + "{}", 8), ErrorCode::bad_header);  // JSON behind the JSON
}

TEST(Safetensors, RefusesOverlapAndDuplicates) {
  const auto pair = [](const char* first, const char* second) {
    return std::string(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)") + first +
           R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + second + "}}";
  };
  EXPECT_EQ(refusal(pair("[0,8]", "[4,12]"), 12), ErrorCode::bad_offsets);
  EXPECT_EQ(refusal(pair("[0,8]", "[0,8]"), 8), ErrorCode::bad_offsets);
  EXPECT_EQ(refusal(pair("[0,8]", "[12,20]"), 20), ErrorCode::bad_offsets);
  EXPECT_EQ(
      refusal(
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
          8),
      ErrorCode::bad_header);
}

TEST(Safetensors, ALyingHeaderLengthIsNotAllocated) {
  std::string bytes = file_bytes("{}", 0);
  bytes[3] = 1;  // 16 MiB more than there is
  const SourceFile file = SourceFile::from_bytes(to_bytes(bytes), "w.safetensors");
  const ErrorCode code = error_of([&] { read(file); }).code();
  EXPECT_TRUE(code == ErrorCode::truncated || code == ErrorCode::limit_exceeded);
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const std::string bytes = file_bytes(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const SourceFile file = SourceFile::from_bytes(to_bytes(bytes.substr(0, length)), "w.safetensors");
    EXPECT_NE(error_of([&] { find_importer(file).read(file); }).code(), ErrorCode::internal) << length;
  }
}

}  // namespace
}  // namespace resnet::convert
