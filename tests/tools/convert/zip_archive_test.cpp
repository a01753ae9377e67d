#include "convert/importers/zip_archive.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

std::string refusal(const std::string& bytes) {
  const SourceFile file = SourceFile::from_bytes(to_bytes(bytes), "test.pth");
  const Error error = error_of([&] {
    const ZipArchive zip(file);
    for (std::size_t i = 0; i < zip.entries().size(); ++i) zip.read(i);
  });
  EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
  return error.what();
}
bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// Little-endian numbers in a file.
void put(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) bytes.at(at + i) = static_cast<char>(value >> (8 * i) & 0xFF);
}
std::uint64_t get(const std::string& bytes, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

TEST(ZipArchive, ReadsStoredEntriesByName) {
  const SourceFile file =
      SourceFile::from_bytes(to_bytes(ZipBytes().add("a/x", "hello").add("a/y", "").bytes()), "test.pth");
  const ZipArchive zip(file);
  ASSERT_EQ(zip.entries().size(), 2u);
  EXPECT_EQ(zip.find("a/x"), 0u);
  EXPECT_EQ(zip.find("a/z"), std::nullopt);
  EXPECT_EQ(zip.read(0), to_bytes("hello"));
  EXPECT_TRUE(zip.read(1).empty());
}

TEST(ZipArchive, AnEntryAboveTheLimitIsNotRead) {
  const SourceFile file = SourceFile::from_bytes(to_bytes(ZipBytes().add("a", "hello").bytes()), "test.pth");
  const ZipArchive zip(file);
  EXPECT_EQ(error_of([&] { zip.read(0, 4); }).code(), ErrorCode::limit_exceeded);
}

TEST(ZipArchive, TooManyEntriesAreNotEvenListed) {
  ZipBytes zip;
  for (int i = 0; i < 20'001; ++i) zip.add(std::to_string(i), "");
  EXPECT_TRUE(mentions(refusal(zip.bytes()), "has 20001 entries, the limit is 20000"));
}

TEST(ZipArchive, RefusesAWrongChecksumAndNamesTheEntry) {
  ZipBytes::Options options;
  options.crc_xor = 1;
  const std::string text = refusal(ZipBytes().add("a/data/0", "hello", options).bytes());
  EXPECT_TRUE(mentions(text, "a/data/0")) << text;
  EXPECT_TRUE(mentions(text, "CRC")) << text;
}

TEST(ZipArchive, NoticesAChangedDataByte) {
  std::string bytes = ZipBytes().add("a/data/0", "hello").bytes();
  bytes[bytes.find("hello") + 2] = 'L';
  EXPECT_TRUE(mentions(refusal(bytes), "CRC"));
}

TEST(ZipArchive, RefusesACompressedEntry) {
  ZipBytes::Options options;
  options.method = 8;
  const std::string text = refusal(ZipBytes().add("a/data.pkl", "hello", options).bytes());
  EXPECT_TRUE(mentions(text, "\"a/data.pkl\" is compressed")) << text;
}

TEST(ZipArchive, RefusesAnEncryptedEntry) {
  ZipBytes::Options options;
  options.flags = 1;
  refusal(ZipBytes().add("a", "hello, at least twelve bytes", options).bytes());
}

TEST(ZipArchive, RefusesTwoEntriesOfOneName) {
  const std::string text = refusal(ZipBytes().add("a/x", "1").add("a/x", "2").bytes());
  EXPECT_TRUE(mentions(text, "two entries")) << text;
}

TEST(ZipArchive, RefusesEntriesThatShareTheirBytes) {
  // A small file cannot claim to hold much: the trick of 42.zip and its relatives.
  ZipBytes zip;
  zip.add("a0", std::string(1000, 'x'));
  for (int i = 1; i < 100; ++i) zip.alias("a" + std::to_string(i), 0);
  refusal(zip.bytes());
}

TEST(ZipArchive, NamesEntriesThatOverlap) {
  refusal(ZipBytes().add("a", "hello").alias("b", 0).bytes());
  // An entry that lies within the bytes of another one.
  const std::string inner = ZipBytes().add("b", "hello").bytes().substr(0, 30 + 1 + 5);
  std::string bytes = ZipBytes().add("a", inner).add("b", "hello").bytes();
  put(bytes, bytes.rfind("PK\1\2") + 42, 31, 4);
  EXPECT_TRUE(mentions(refusal(bytes), "overlap: \"a\" and \"b\"")) << refusal(bytes);
}

/// The same archive with a Zip64 end record.
std::string with_zip64(std::string bytes, std::uint64_t entries) {
  const std::size_t end = bytes.size() - 22;
  std::string record = "PK\6\6", locator = "PK\6\7";
  record.resize(56);
  locator.resize(20);
  put(record, 4, 44, 8);
  put(record, 12, 45 << 16 | 45, 4);
  put(record, 24, entries, 8);
  put(record, 32, entries, 8);
  put(record, 40, get(bytes, end + 12, 4), 8);
  put(record, 48, get(bytes, end + 16, 4), 8);
  put(locator, 8, end, 8);
  put(locator, 16, 1, 4);
  put(bytes, end + 8, 0xFFFFFFFF, 4);
  put(bytes, end + 12, UINT64_MAX, 8);
  return bytes.insert(end, record + locator);
}

TEST(ZipArchive, ReadsZip64) {
  const std::string bytes = ZipBytes().add("a", "hello").add("b", "").bytes();
  const SourceFile file = SourceFile::from_bytes(to_bytes(with_zip64(bytes, 2)), "test.pth");
  EXPECT_EQ(ZipArchive(file).read(0), to_bytes("hello"));
  EXPECT_TRUE(mentions(refusal(with_zip64(bytes, 250'000)), "has 250000 entries, the limit is 20000"));
  refusal(with_zip64(bytes, 1));
  refusal(with_zip64(bytes, 3));
}

TEST(ZipArchive, RefusesNamesThatLeaveTheArchive) {
  for (const char* name : {"../x", "a/../../x", "/etc/passwd", "a\\..\\x", "a/.."}) {
    const std::string text = refusal(ZipBytes().add(name, "1").bytes());
    EXPECT_TRUE(mentions(text, "leaves the archive")) << name << ": " << text;
  }
}

TEST(ZipArchive, RefusesAComment) { refusal(ZipBytes().add("a", "1").bytes("a comment")); }

TEST(ZipArchive, RefusesADirectoryHiddenInAComment) {
  const std::string inner = ZipBytes().add("evil", "1").bytes();
  refusal(ZipBytes().add("a", "1").bytes(inner));
}

TEST(ZipArchive, RefusesBytesAroundTheArchive) {
  const std::string zip = ZipBytes().add("a", "1").bytes();
  refusal(zip + "x");
  refusal("junk" + zip);
}

TEST(ZipArchive, RefusesSizesThatPointOutsideTheFile) {
  for (const std::int64_t size : {6ll, 1000ll, 0x7fffffffll, 0xfffffffell}) {
    ZipBytes::Options options;
    options.claimed_size = size;
    refusal(ZipBytes().add("a", "hello", options).bytes());
  }
}

TEST(ZipArchive, RefusesHeadersThatDisagree) {
  std::string bytes = ZipBytes().add("abc", "hello").bytes();
  bytes[bytes.find("abc")] = 'x';  // in the local header only
  refusal(bytes);
}

TEST(ZipArchive, EveryTruncationIsAnError) {
  const std::string bytes = ZipBytes().add("a/data.pkl", "hello").add("a/data/0", "world").bytes();
  for (std::size_t length = 0; length < bytes.size(); ++length) refusal(bytes.substr(0, length));
}

}  // namespace
}  // namespace resnet::convert
