#include "common/atomic_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "common/temporary_files.hpp"
#include "common/tool_error.hpp"
#include "support/scratch_folder.hpp"

namespace resnet::tools {
namespace {

using test::read_text;
using test::ScratchFolder;
using test::write_text;

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

TEST(AtomicFile, AppearsOnlyWhenItIsComplete) {
  const ScratchFolder folder;
  AtomicFile file(folder / "out");
  file.write(bytes("one"));
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  file.write(bytes(" two"));
  file.commit();
  EXPECT_EQ(read_text(folder / "out"), "one two");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, LeavesNothingBehindWhenItIsAbandoned) {
  const ScratchFolder folder;
  { AtomicFile(folder / "out").write(bytes("half")); }
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(AtomicFile, KeepsTheOldContentUntilTheCommit) {
  const ScratchFolder folder;
  write_text(folder / "out", "old");
  { AtomicFile(folder / "out").write(bytes("abandoned")); }
  EXPECT_EQ(read_text(folder / "out"), "old");
  write_file(folder / "out", bytes("new"));
  EXPECT_EQ(read_text(folder / "out"), "new");
}

TEST(AtomicFile, RewritesItsStart) {
  const ScratchFolder folder;
  AtomicFile file(folder / "out");
  file.write(bytes("???? rest"));
  file.rewrite_start(bytes("head"));
  file.write(bytes(" end"));
  file.commit();
  EXPECT_EQ(read_text(folder / "out"), "head rest end");
}

TEST(AtomicFile, KeepsThePermissionsOfTheFileThatItReplaces) {
  const ScratchFolder folder;
  write_text(folder / "out", "old");
  ASSERT_EQ(chmod((folder / "out").c_str(), 0640), 0);
  write_file(folder / "out", bytes("new"));
  struct stat info {};
  ASSERT_EQ(stat((folder / "out").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0640u);
}

TEST(AtomicFile, FollowsTheUmaskForANewFile) {
  const ScratchFolder folder;
  const mode_t mask = umask(027);
  write_file(folder / "out", bytes("new"));
  umask(mask);
  struct stat info {};
  ASSERT_EQ(stat((folder / "out").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0640u);
}

TEST(AtomicFile, LeavesTheOldFileAloneInAFolderThatCannotBeWritten) {
  const ScratchFolder folder;
  write_text(folder / "out", "old");
  ASSERT_EQ(chmod(folder.path().c_str(), 0555), 0);
  ASSERT_EQ(chmod((folder / "out").c_str(), 0666), 0);
  // Root may write everywhere, so the attempt is made by another user in a child.
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(3);
    try {
      write_file(folder / "out", bytes("new"));
    } catch (const OutputError& error) {
      _exit(std::string(error.what()).find("Permission denied") != std::string::npos ? 0 : 2);
    }
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "1: it was written, 2: another error, 3: no other user";
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  EXPECT_EQ(read_text(folder / "out"), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, IsWholeOldOrNewWheneverTheProcessIsKilled) {
  const ScratchFolder folder;
  const std::string path = folder / "out", a(3'000'000, 'a'), b(4'000'000, 'b');
  write_file(path, bytes(a));
  for (int trial = 0; trial < 20; ++trial) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) {
        write_file(path, bytes(b));
        write_file(path, bytes(a));
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500 + 731 * trial));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const std::string found = read_text(path);
    EXPECT_TRUE(found == a || found == b) << "half a file after trial " << trial;
  }
}

TEST(AtomicFile, ReplacesTheFileBehindASymbolicLink) {
  const ScratchFolder folder;
  write_text(folder / "real", "old");
  std::filesystem::create_symlink("real", folder / "link");
  write_file(folder / "link", bytes("new"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(read_text(folder / "real"), "new");
}

TEST(AtomicFile, CreatesTheFileBehindASymbolicLink) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "d");
  std::filesystem::create_symlink("d/second", folder / "first");
  std::filesystem::create_symlink("../real", folder / "d/second");
  write_file(folder / "first", bytes("new"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "first"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "d/second"));
  EXPECT_EQ(read_text(folder / "real"), "new");
  std::filesystem::create_symlink("loop", folder / "loop");
  EXPECT_THROW(write_file(folder / "loop", bytes("new")), OutputError);
}

TEST(AtomicFile, TakesTheLongestNameThatTheFolderTakes) {
  const ScratchFolder folder;
  const std::string path = folder / std::string(255, 'n');
  write_file(path, bytes("old"));
  write_file(path, bytes("new"));
  EXPECT_EQ(read_text(path), "new");
}

TEST(AtomicFile, RefusesAPipeThatNobodyReadsAndFillsOneThatSomebodyReads) {
  const ScratchFolder folder;
  const std::string path = folder / "fifo";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THROW(AtomicFile{path}, OutputError);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  AtomicFile file(path);
  EXPECT_FALSE(file.seekable());
  file.write(bytes("through"));
  file.commit();
  char text[16] = {};
  EXPECT_EQ(read(reader, text, sizeof text), 7);
  EXPECT_STREQ(text, "through");
  close(reader);
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, WritesToADeviceDirectly) {
  EXPECT_NO_THROW(write_file("/dev/null", bytes("gone")));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(AtomicFile, NamesThePathAndTheReasonWhenItCannotBeWritten) {
  const ScratchFolder folder;
  const auto message = [](const std::string& path) -> std::string {
    try {
      const AtomicFile file(path);
    } catch (const OutputError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message(folder / "missing/out"),
            "cannot write " + (folder / "missing/out") + ": No such file or directory");
  EXPECT_EQ(message(folder.path()), "cannot write " + folder.path() + ": it is a directory");
  EXPECT_EQ(message(""), "an output file has an empty name");
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(AtomicFile, FailsOnAFullDiskInsteadOfLosingData) {
  AtomicFile file("/dev/full");
  EXPECT_THROW(file.write(bytes("data")), OutputError);
}

TEST(TemporaryFiles, AreRemovedByTheirProcessAndLeftAloneByItsChildren) {
  const ScratchFolder folder;
  write_text(folder / "temporary", "half");
  const std::size_t slot = remember_temporary_file(folder / "temporary");
  const pid_t child = fork();
  if (child == 0) {
    remove_temporary_files();
    _exit(0);
  }
  ASSERT_GT(child, 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(folder.entries(), 1u);
  remove_temporary_files();
  EXPECT_EQ(folder.entries(), 0u);
  forget_temporary_file(slot);
}

TEST(TemporaryFiles, AreForgottenOnceComplete) {
  const ScratchFolder folder;
  for (int i = 0; i < 100; ++i) write_file(folder / "out", bytes("complete"));  // more than there are slots
  remove_temporary_files();
  EXPECT_EQ(read_text(folder / "out"), "complete");
}

}  // namespace
}  // namespace resnet::tools
