#include "model/atomic_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "model/model_file.hpp"
#include "unit/model/scratch_directory.hpp"

namespace resnet::testing {
namespace {

/// Both ways of keeping the unfinished file.
class AtomicFile : public ::testing::TestWithParam<TempFile> {
 protected:
  void write(const std::string& path, const Bytes& bytes) { write_file_atomically(path, bytes, GetParam()); }
  /// The write fails with this text, and `path` keeps `before`, alone in its directory.
  void expect_untouched(const std::string& path, const Bytes& before, const std::string& reason) {
    const Error error = error_of([&] { write(path, Bytes(100'000)); });
    EXPECT_EQ(error.code(), ErrorCode::io);
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    EXPECT_EQ(read_plainly(path), before);
    EXPECT_EQ(directory_.entries(), 1u) << "a temporary file was left behind";
  }

  ScratchDirectory directory_;
  const Bytes old_ = from_text("old content"), new_ = from_text("something new and longer");
};

INSTANTIATE_TEST_SUITE_P(Both, AtomicFile, ::testing::Values(TempFile::unnamed, TempFile::named),
                         [](const auto& test) { return test.param == TempFile::unnamed ? "Unnamed" : "Named"; });

TEST_P(AtomicFile, CreatesAndReplacesAndLeavesNothingElse) {
  const std::string path = directory_.file("out.rne");
  write(path, old_);
  EXPECT_EQ(read_plainly(path), old_);
  write(path, new_);
  EXPECT_EQ(read_plainly(path), new_);
  EXPECT_EQ(directory_.entries(), 1u);
}

TEST_P(AtomicFile, FollowsTheUmaskForNewFilesAndKeepsThePermissionsOfOldOnes) {
  const std::string path = directory_.file("out.rne");
  const mode_t mask = ::umask(027);
  write(path, old_);
  ::umask(mask);
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  ASSERT_EQ(::chmod(path.c_str(), 0604), 0);
  write(path, new_);
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0604u);
}

TEST_P(AtomicFile, WritesThroughASymbolicLink) {
  const std::string path = directory_.file("real"), link = directory_.file("link");
  write(path, old_);
  std::filesystem::create_symlink("real", link);
  write(link, new_);
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(read_plainly(path), new_);
}

TEST_P(AtomicFile, TakesTheLongestNameThatTheDirectoryTakes) {
  const std::string path = directory_.file(std::string(255, 'n'));
  write(path, old_);
  write(path, new_);
  EXPECT_EQ(read_plainly(path), new_);
}

TEST_P(AtomicFile, NamesAMissingDirectoryAndADirectoryInTheWay) {
  EXPECT_NE(std::string(error_of([&] { write(directory_.file("no/out"), new_); }).what()).find("No such file"),
            std::string::npos);
  const Error error = error_of([&] { write(directory_.path().string(), new_); });
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_NE(std::string(error.what()).find("is a directory"), std::string::npos) << error.what();
}

TEST_P(AtomicFile, WritesDevicesInPlaceAndReportsAFullOne) {
  write("/dev/null", new_);
  struct stat status {};
  ASSERT_EQ(::stat("/dev/null", &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode)) << "the device was replaced by a file";
  const Error error = error_of([&] { write("/dev/full", new_); });
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos) << error.what();
}

TEST_P(AtomicFile, RefusesAPipeWithoutAReaderAtOnce) {
  const std::string path = directory_.file("fifo");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { write(path, new_); }).code(), ErrorCode::io);
}

TEST_P(AtomicFile, FillsAPipeThatSomebodyReads) {
  const std::string path = directory_.file("fifo");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  ASSERT_EQ(::fcntl(reader, F_SETFL, 0), 0);
  const Bytes large(300'000, std::byte{7});  // more than a pipe holds
  std::thread writer([&] { write(path, large); });
  Bytes got;
  char buffer[4096];
  while (got.size() < large.size()) {
    const ssize_t n = ::read(reader, buffer, sizeof buffer);
    if (n == 0 && got.empty()) continue;  // the writer has not opened it yet
    ASSERT_GT(n, 0);
    const Bytes some = from_text({buffer, static_cast<std::size_t>(n)});
    got.insert(got.end(), some.begin(), some.end());
  }
  writer.join();
  ::close(reader);
  EXPECT_EQ(got, large);
}

TEST_P(AtomicFile, LeavesTheOldFileAloneWhereTheSizeLimitStopsIt) {
  const std::string path = directory_.file("out.rne");
  write(path, old_);
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 50'000, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_untouched(path, old_, "File too large");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
}

TEST_P(AtomicFile, LeavesTheOldFileAloneInADirectoryThatCannotBeWritten) {
  const std::string path = directory_.file("out.rne");
  write(path, old_);
  // Root may write everywhere, so the attempt is made by another user in a child.
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0555), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(3);
    try {
      write(path, new_);
    } catch (const Error& error) {
      const bool named = std::string(error.what()).find("Permission denied") != std::string::npos;
      ::_exit(error.code() == ErrorCode::io && named ? 0 : 2);
    }
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "1: it was written, 2: another error, 3: no other user";
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
  EXPECT_EQ(read_plainly(path), old_);
  EXPECT_EQ(directory_.entries(), 1u);
}

TEST(AtomicFileKilled, AtAnyMomentLeavesAWholeOldOrNewFileAndNothingElse) {
  const ScratchDirectory directory;
  const std::string path = directory.file("out.rne");
  const Bytes a(3'000'000, std::byte{1}), b(4'000'000, std::byte{2});
  write_file_atomically(path, a);
  for (int trial = 0; trial < 40; ++trial) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (;;) {
        write_file_atomically(path, b);
        write_file_atomically(path, a);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500 + 731 * trial));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const Bytes found = read_plainly(path);
    EXPECT_TRUE(found == a || found == b) << "half a file after trial " << trial;
  }
  // A kill between the link under a temporary name and the rename leaves that name: rare, so at most once in 40.
  EXPECT_LE(directory.entries(), 2u);
}

}  // namespace
}  // namespace resnet::testing
