#include "convert/known_files.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "convert/caches.hpp"
#include "convert/embedded.hpp"
#include "convert/known_nets.hpp"
#include "convert/sha256.hpp"
#include "resnet_engine/image.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

TEST(KnownFiles, CoverTheTenNetsWithPresetsThatExist) {
  std::set<std::string_view> nets, hashes;
  for (const KnownFile& file : known_files()) {
    nets.insert(file.net);
    EXPECT_TRUE(hashes.insert(file.hash).second) << file.hash;
    EXPECT_EQ(file.hash.size(), 8u);
    EXPECT_EQ(Preprocess::preset(file.preset).name, file.preset);
    EXPECT_NE(find_torchvision_net(file.net), nullptr);
  }
  EXPECT_EQ(nets.size(), torchvision_nets().size());
}

TEST(KnownFiles, AreFoundByTheFirstEightDigitsOfAFullHash) {
  const std::string rest(56, '0');
  ASSERT_NE(find_known_file("11ad3fa6" + rest), nullptr);
  EXPECT_EQ(find_known_file("11ad3fa6" + rest)->preset, "torchvision-v2");
  EXPECT_EQ(find_known_file("0676ba61" + rest)->preset, "torchvision");
  EXPECT_EQ(find_known_file("173b62eb" + rest)->preset, "torchvision-v2");
  EXPECT_EQ(find_known_file("11ad3fa7" + rest), nullptr);
  EXPECT_EQ(find_known_file("11ad3fa6"), nullptr);
  EXPECT_EQ(find_known_file(""), nullptr);
}

TEST(Sha256, AgreesWithThePublishedVectors) {
  if (!has_sha256()) GTEST_SKIP() << "built without libcrypto";
  const auto hash = [](std::string text) { return sha256_hex(SourceFile::from_bytes(to_bytes(text), "f")); };
  EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_NE(hash(std::string(2'000'000, 'a')), hash(std::string(2'000'001, 'a')));  // pieces of 1 MiB
}

TEST(EmbeddedLabels, AreTheThousandOfImageNetInOrder) {
  const std::string_view text = embedded_imagenet_labels();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1000);
  EXPECT_TRUE(text.starts_with("tench\ngoldfish\n"));
  EXPECT_TRUE(text.ends_with("\ntoilet tissue\n"));
}

TEST(FindCached, PrefersTorchsCacheAndTheNewerWeights) {
  const ScratchFolder folder;
  const CacheFolders folders{folder / "torch", folder / "hf"};
  const std::string snapshot = folder / "hf/models--timm--resnet50.tv2_in1k/snapshots/abc";
  std::filesystem::create_directories(snapshot);
  write_text(snapshot + "/model.safetensors", "x");
  EXPECT_EQ(find_cached("resnet50", folders).path, snapshot + "/model.safetensors");
  EXPECT_EQ(find_cached("resnet50", folders).preset, "torchvision-v2");

  std::filesystem::create_directories(folder / "torch");
  write_text(folder / "torch/resnet50-0676ba61.pth", "x");
  EXPECT_EQ(find_cached("resnet50", folders).path, folder / "torch/resnet50-0676ba61.pth");
  EXPECT_EQ(find_cached("resnet50", folders).preset, "");  // its hash will tell
  write_text(folder / "torch/resnet50-11ad3fa6.pth", "x");
  EXPECT_EQ(find_cached("resnet50", folders).path, folder / "torch/resnet50-11ad3fa6.pth");
}

TEST(FindCached, SaysWhereToGetAFileThatIsNotThere) {
  const ScratchFolder folder;
  const Error error = error_of([&] { find_cached("resnet50", {folder / "torch", folder / "hf"}); });
  EXPECT_EQ(error.code(), ErrorCode::io);
  const std::string text = error.what();
  for (const char* part : {"https://download.pytorch.org/models/resnet50-11ad3fa6.pth", "resnet50-0676ba61.pth"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  EXPECT_NE(text.find(folder / "torch"), std::string::npos);
}

TEST(FindCached, AnUnknownNetListsTheTen) {
  const Error error = error_of([] { find_cached("vgg16", {}); });
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  EXPECT_NE(std::string(error.what()).find("wide_resnet101_2"), std::string::npos);
}

TEST(CacheFolders, FollowTheFrameworksVariables) {
  const auto with = [](const char* name, const char* value) {
    ::setenv(name, value, 1);
    const CacheFolders folders = CacheFolders::from_environment();
    ::unsetenv(name);
    return folders;
  };
  for (const char* name : {"TORCH_HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"}) ::unsetenv(name);
  EXPECT_EQ(with("HOME", "/h").torch, "/h/.cache/torch/hub/checkpoints");
  EXPECT_EQ(with("HOME", "/h").hugging_face, "/h/.cache/huggingface/hub");
  EXPECT_EQ(with("XDG_CACHE_HOME", "/c").torch, "/c/torch/hub/checkpoints");
  EXPECT_EQ(with("TORCH_HOME", "/t").torch, "/t/hub/checkpoints");
  EXPECT_EQ(with("HF_HOME", "/f").hugging_face, "/f/hub");
  EXPECT_EQ(with("HF_HUB_CACHE", "/g").hugging_face, "/g");
}

}  // namespace
}  // namespace resnet::convert
