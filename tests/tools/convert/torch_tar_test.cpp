// The container of torch.save before PyTorch 0.1.10: a file that PyTorch reads (tests/golden/torch/make.py), and
// damaged ones.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"
#include "tools/convert/import_check.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

std::string golden() { return read_text(RESNET_SOURCE_DIR "/tests/golden/torch/old.pth"); }

bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// The header's checksum made right again behind a change inside of it.
std::string mended(std::string bytes, std::size_t header) {
  unsigned sum = 8 * ' ';
  for (std::size_t i = 0; i < 512; ++i) {
    if (i < 148 || i >= 156) sum += static_cast<unsigned char>(bytes[header + i]);
  }
  std::string octal = "0000000";
  for (std::size_t i = 6; sum > 0; --i, sum /= 8) octal[i] = static_cast<char>('0' + sum % 8);
  return bytes.replace(header + 148, 8, octal.substr(1) + std::string("\0 ", 2));
}

/// Where the header of a member begins.
std::size_t header_of(const std::string& bytes, const std::string& name) {
  const std::size_t at = bytes.find(name + std::string(10, '\0'));
  EXPECT_EQ(at % 512, 0u);
  return at;
}

TEST(TorchTar, ReadsWhatPyTorchReads) {
  const SourceFile file = SourceFile::from_bytes(to_bytes(golden()), "old.pth");
  const Imported named = read_imported(file);
  EXPECT_EQ(named.format, "PyTorch tar");
  ASSERT_EQ(named.tensors.size(), 4u);
  EXPECT_EQ(named.tensors[0].name, "w");
  EXPECT_EQ(floats(named, 0), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(named.tensors[1].name, "w.t");
  EXPECT_EQ(named.tensors[1].shape, (TensorShape{3, 2}));
  EXPECT_EQ(floats(named, 1), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(named.tensors[2].type, SourceType::i64);
  EXPECT_EQ(named.tensors[3].name, "view");
  EXPECT_EQ(floats(named, 3), (std::vector<float>{2, 3, 4}));
  EXPECT_EQ(named.tensors[3].storage, named.tensors[0].storage);
}

TEST(TorchTar, EveryTruncationOfItsMembersIsAnError) {
  const std::string bytes = golden();
  const std::size_t end = bytes.find_last_not_of('\0') + 1;
  for (std::size_t length = 512; length < end; ++length) {
    EXPECT_NE(import_refusal(bytes.substr(0, length)), "") << length;
  }
}

TEST(TorchTar, ChecksTheHeaders) {
  const std::string bytes = golden();
  const std::size_t header = header_of(bytes, "tensors");
  std::string changed = bytes;
  changed[header + 125] = '7';
  EXPECT_TRUE(mentions(import_refusal(changed), "wrong checksum"));
  EXPECT_TRUE(mentions(import_refusal(mended(changed, header)), "a member ends at"));
  changed = bytes;
  changed[header + 125] = 'x';
  EXPECT_TRUE(mentions(import_refusal(mended(changed, header)), "bad number"));
  changed = bytes;
  changed[header] = 'T';
  EXPECT_TRUE(mentions(import_refusal(mended(changed, header)), "other members"));
  changed = bytes;
  changed.replace(header, 8, std::string("pickle\0\0", 8));
  EXPECT_TRUE(mentions(import_refusal(mended(changed, header)), "two members pickle"));
  changed = bytes;
  changed[header + 156] = '2';
  EXPECT_TRUE(mentions(import_refusal(mended(changed, header)), "is no file"));
  EXPECT_TRUE(mentions(import_refusal(bytes + std::string(512, 'x')), "bytes behind the last member"));
  EXPECT_TRUE(mentions(import_refusal(bytes.substr(0, header_of(bytes, "storages"))), "lacks the member storages") ||
              mentions(import_refusal(bytes.substr(0, header_of(bytes, "storages"))), "lacks the member"));
}

TEST(TorchTar, RefusesWhatItDoesNotSay) {
  EXPECT_TRUE(mentions(import_refusal(replaced(golden(), "little_endian", "little_endiaN")), "byte order"));
  EXPECT_TRUE(mentions(import_refusal(replaced(golden(), "LongStorage", "LongStoragE")), "LongStoragE"));
  EXPECT_TRUE(mentions(import_refusal(replaced(golden(), "FloatTensor", "FloatTensoR")), "FloatTensoR"));
}

/// One bit at a time: an error, or tensors that lie in their storages. Never more.
TEST(TorchTar, SurvivesEveryFlippedBit) {
  const std::string bytes = golden();
  const std::size_t end = bytes.find_last_not_of('\0') + 1;
  for (std::size_t bit = 0; bit < 8 * end; bit += 3) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    const SourceFile file = SourceFile::from_bytes(to_bytes(changed), "flipped.pth");
    try {
      read_imported(file);
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
    }
  }
}

}  // namespace
}  // namespace resnet::convert
