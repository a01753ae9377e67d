// The container of torch.save before PyTorch 1.6: a file that PyTorch wrote (tests/golden/torch/make.py), and damaged
// ones.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"
#include "tools/convert/import_check.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

std::string golden() { return read_text(RESNET_SOURCE_DIR "/tests/golden/torch/legacy.pth"); }

bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(TorchLegacy, ReadsWhatPyTorchWrote) {
  const SourceFile file = SourceFile::from_bytes(to_bytes(golden()), "legacy.pth");
  const Imported named = read_imported(file);
  EXPECT_EQ(named.format, "PyTorch legacy stream");
  ASSERT_EQ(named.tensors.size(), 4u);
  EXPECT_EQ(named.tensors[0].name, "w");
  EXPECT_EQ(floats(named, 0), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(named.tensors[1].shape, (TensorShape{3, 2}));
  EXPECT_EQ(floats(named, 1), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(named.tensors[0].storage, named.tensors[1].storage);
  EXPECT_EQ(named.tensors[2].type, SourceType::f16);
  EXPECT_EQ(named.tensors[3].type, SourceType::i64);
  EXPECT_FALSE(named.notes.empty()) << "the wrapper";
}

TEST(TorchLegacy, ReadsAViewOfAStorage) {
  using namespace pickle;
  const std::string magic = golden().substr(0, 15);
  const auto file = [&](std::int32_t offset) {
    const std::string view = tuple(text("view") + integer(offset) + integer(3));
    const std::string id =
        tuple(text("storage") + global("torch", "FloatStorage") + text("k") + text("cpu") + integer(5) + view) + "Q";
    std::string bytes = magic + start() + integer(1001) + stop();
    bytes += start() + dict(text("little_endian") + "\x88") + stop();
    bytes += start() + dict(text("v") + torch_tensor(id, 1, {2}, {1})) + stop();
    bytes += start() + "](" + text("k") + "e" + stop();
    const std::int64_t count = 5;
    bytes.append(reinterpret_cast<const char*>(&count), sizeof count);
    const float values[] = {0, 1, 2, 3, 4};
    return bytes.append(reinterpret_cast<const char*>(values), sizeof values);
  };
  const SourceFile source = SourceFile::from_bytes(to_bytes(file(2)), "view.pth");
  const Imported named = read_imported(source);
  ASSERT_EQ(named.tensors.size(), 1u);
  EXPECT_EQ(named.tensors[0].offset, 3);
  EXPECT_TRUE(mentions(import_refusal(file(3)), "a view of storage"));
  EXPECT_TRUE(mentions(import_refusal(file(-1)), "a view of storage"));
}

TEST(TorchLegacy, EveryTruncationIsAnError) {
  const std::string bytes = golden();
  for (std::size_t length = 0; length < bytes.size(); ++length) import_refusal(bytes.substr(0, length));
  EXPECT_TRUE(mentions(import_refusal(bytes + "x"), "its storages end at"));
}

TEST(TorchLegacy, RefusesWhatItDoesNotSay) {
  EXPECT_TRUE(mentions(import_refusal(replaced(golden(), "M\xe9\x03.", "M\xe8\x03.")), "protocol"));
  EXPECT_TRUE(mentions(import_refusal(replaced(golden(), "little_endian", "little_endiaN")), "byte order"));
  EXPECT_TRUE(mentions(import_refusal(replaced(golden(), "HalfStorage", "HalfStoragE")), "HalfStoragE"));
}

/// One bit at a time: an error, or tensors that lie in their storages. Never more.
TEST(TorchLegacy, SurvivesEveryFlippedBit) {
  const std::string bytes = golden();
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
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
