#include "common/same_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/scratch_folder.hpp"

namespace resnet::tools {
namespace {

using test::ScratchFolder;
using test::write_text;

TEST(SameFile, FollowsLinksAndDots) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "d");
  write_text(folder / "a", "");
  write_text(folder / "b", "");
  std::filesystem::create_symlink("a", folder / "link");
  EXPECT_TRUE(same_file(folder / "a", folder / "a"));
  EXPECT_TRUE(same_file(folder / "a", folder / "./d/../a"));
  EXPECT_TRUE(same_file(folder / "a", folder / "link"));
  EXPECT_FALSE(same_file(folder / "a", folder / "b"));
  EXPECT_FALSE(same_file("", ""));
}

TEST(SameFile, FollowsALinkToAFileThatIsNotThereYet) {
  const ScratchFolder folder;
  std::filesystem::create_symlink("new", folder / "link");
  EXPECT_TRUE(same_file(folder / "link", folder / "new"));
  EXPECT_FALSE(same_file(folder / "link", folder / "other"));
  std::filesystem::create_symlink("b", folder / "a");
  std::filesystem::create_symlink("a", folder / "b");
  EXPECT_FALSE(same_file(folder / "a", folder / "new")) << "links in a ring end";
}

TEST(SameFile, ComparesNamesOfFilesThatAreNotThereYet) {
  const ScratchFolder folder;
  EXPECT_TRUE(same_file(folder / "new", folder / "./new"));
  EXPECT_TRUE(same_file("new.npy", "./new.npy"));
  EXPECT_TRUE(same_file("new.npy", std::filesystem::current_path().string() + "/new.npy"));
  EXPECT_FALSE(same_file("new.npy", "other.npy"));
  EXPECT_FALSE(same_file(folder / "no/new", folder / "new"));
}

}  // namespace
}  // namespace resnet::tools
