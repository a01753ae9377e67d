#include "common/inputs.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "support/scratch_folder.hpp"

namespace resnet::tools {
namespace {

using test::ScratchFolder;
using test::write_text;

std::vector<std::string> names(const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  for (const auto& input : expand_inputs(arguments)) out.push_back(input.name);
  return out;
}

void write_array(const std::string& path, std::size_t values, const std::vector<std::int64_t>& row_shape) {
  NpyWriter writer(path);
  writer.append(std::vector<float>(values), row_shape);
  writer.commit();
}

std::string failure(const std::string& argument) {
  const auto inputs = expand_inputs({argument});
  return inputs.size() == 1 ? inputs[0].failure : "not one input";
}

TEST(ExpandInputs, KeepsTheOrderOfTheArgumentsAndTakesFilesAsTheyAre) {
  EXPECT_EQ(names({"b.jpg", "a.unknown", "b.jpg"}), (std::vector<std::string>{"b.jpg", "a.unknown", "b.jpg"}));
}

TEST(ExpandInputs, TakesThePicturesOfADirectoryAndBelowSortedByPath) {
  const ScratchFolder folder;
  std::filesystem::create_directories(folder / "b");
  std::filesystem::create_directories(folder / ".hidden");
  for (const char* name : {"c.PNG", "a.jpg", "b/x.jpeg", "notes.txt", ".a.jpg", ".hidden/z.jpg"})
    write_text(folder / name, "");
  EXPECT_EQ(names({folder.path()}),
            (std::vector<std::string>{folder / "a.jpg", folder / "b/x.jpeg", folder / "c.PNG"}));
}

TEST(ExpandInputs, TakesPicturesOfFormatsThatAreNotDecoded) {
  const ScratchFolder folder;
  for (const char* name : {"a.jxl", "b.heif", "c.HEIC", "d.avif", "e.webp", "f.tif", "g.tiff", "h.pnm", "i.gif",
                           "j.hdr", "k.pbm", "l.psd", "m.CR2"}) {
    write_text(folder / name, "");
    EXPECT_TRUE(is_picture_name(name)) << name;
  }
  for (const char* name : {"n.txt", "o.json", "p.mp4", "jpg", "q.jpg.txt"}) {
    write_text(folder / name, "");
    EXPECT_FALSE(is_picture_name(name)) << name;
  }
  EXPECT_EQ(names({folder.path()}).size(), 13u);
}

TEST(ExpandInputs, KnowsTheExtensionsThatTheManualLists) {
  const std::string manual = test::read_text(RESNET_SOURCE_DIR "/docs/cli.md");
  const std::size_t begin = manual.find("`.jpg`");
  ASSERT_NE(begin, std::string::npos);
  const std::string list = manual.substr(begin, manual.find(';', begin) - begin);
  std::size_t count = 0;
  for (std::size_t at = list.find('.'); at != std::string::npos; at = list.find('.', at + 1), ++count) {
    const std::string name =
        list.substr(at, list.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789", at + 1) - at);
    EXPECT_TRUE(is_picture_name("x" + name)) << name;
  }
  EXPECT_EQ(count, 50u) << "an extension is missing from the manual";
}

TEST(ExpandInputs, SaysThatADirectoryHoldsNothing) {
  const ScratchFolder folder;
  EXPECT_EQ(failure(folder.path()), "the directory holds no pictures and no .npy files");
}

TEST(ExpandInputs, KeepsTheRestOfADirectoryWhereOneBelowCannotBeRead) {
  const ScratchFolder folder;
  for (const char* name : {"a", "b", "c"}) {
    std::filesystem::create_directory(folder / name);
    write_text((folder / name) + "/x.jpg", "");
  }
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(folder / "b", std::filesystem::perms::none);
  // Root may read everything, so another user tries in a child.
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(3);
    const auto inputs = expand_inputs({folder.path()});
    const bool others = inputs.size() == 3 && inputs[0].path == folder / "a/x.jpg" && inputs[0].failure.empty() &&
                        inputs[2].path == folder / "c/x.jpg" && inputs[2].failure.empty();
    const bool named =
        others && inputs[1].name == folder / "b" && inputs[1].failure == "cannot read the directory: Permission denied";
    _exit(named ? 0 : others ? 1 : 2);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  std::filesystem::permissions(folder / "b", std::filesystem::perms::owner_all);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "1: the folder is not named, 2: other inputs, 3: no other user";
}

TEST(ExpandInputs, TakesTheLinesOfAList) {
  const ScratchFolder folder;
  write_text(folder / "list.txt", "one.jpg\r\n\ntwo pictures.png\n#3.jpg");
  EXPECT_EQ(names({"@" + (folder / "list.txt")}), (std::vector<std::string>{"one.jpg", "two pictures.png", "#3.jpg"}));
}

TEST(ExpandInputs, TakesADirectoryNamedInAList) {
  const ScratchFolder folder;
  std::filesystem::create_directories(folder / "d");
  write_text(folder / "d/a.jpg", "");
  write_text(folder / "list.txt", folder / "d");
  EXPECT_EQ(names({"@" + (folder / "list.txt")}), (std::vector<std::string>{folder / "d/a.jpg"}));
}

TEST(ExpandInputs, NamesAListThatCannotBeRead) {
  const ScratchFolder folder;
  EXPECT_EQ(failure("@/nowhere/list.txt"), "cannot open the list: No such file or directory");
  EXPECT_EQ(failure("@" + folder.path()), "cannot open the list: Is a directory");
  for (const char* text : {"", "\n\r\n"}) {
    write_text(folder / "empty.txt", text);
    EXPECT_EQ(failure("@" + (folder / "empty.txt")), "the list names no file");
  }
}

TEST(ExpandInputs, TakesEachRowOfAnArray) {
  const ScratchFolder folder;
  write_array(folder / "x.npy", 6, {3, 1, 1});
  EXPECT_EQ(names({folder / "x.npy"}), (std::vector<std::string>{folder / "x.npy[0]", folder / "x.npy[1]"}));
}

TEST(ExpandInputs, NamesAnArrayOfOneRowLikeItsFile) {
  const ScratchFolder folder;
  write_array(folder / "x.npy", 3, {3, 1, 1});
  EXPECT_EQ(names({folder / "x.npy"}), (std::vector<std::string>{folder / "x.npy"}));
}

TEST(ExpandInputs, RefusesArraysOfAnotherShapeOrNone) {
  const ScratchFolder folder;
  write_array(folder / "matrix.npy", 3, {3});
  write_text(folder / "empty.npy", npy_header_bytes(0, std::vector<std::int64_t>{3, 1, 1}));
  write_text(folder / "broken.npy", "not an array");
  EXPECT_EQ(failure(folder / "matrix.npy"), "expected a float32 array of N x C x H x W");
  EXPECT_EQ(failure(folder / "empty.npy"), "the array is empty");
  EXPECT_EQ(
      failure(folder / "broken.npy"),
      "this is no NumPy array file; write it with numpy.save(path, numpy.ascontiguousarray(x, dtype=numpy.float32))");
  EXPECT_EQ(failure(folder / "missing.npy"), "cannot open: No such file or directory; check the path");
}

}  // namespace
}  // namespace resnet::tools
