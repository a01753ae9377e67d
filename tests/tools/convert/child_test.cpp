#include "convert/child.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/check.hpp"
#include "convert/sandbox.hpp"
#include "convert/source_file.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

ChildLimits small_limits() {
  ChildLimits limits;
  limits.memory_bytes = 64u << 20;
  limits.cpu_seconds = 20;
  limits.wall_ms = 60'000;
  limits.data_bytes = 1u << 20;
  return limits;
}

ChildResult in_child(const std::function<std::string()>& work) {
  return run_limited([&] { return ChildOutput{work(), {}}; }, small_limits(), {}, "file.pth");
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST(LimitedChild, ReturnsReportAndData) {
  const auto result = run_limited(
      [] {
        return ChildOutput{"report", {std::vector<std::byte>(99'999, std::byte{7}), {}, {std::byte{7}}}};
      },
      small_limits(), {}, "file.pth");
  EXPECT_EQ(result.report, "report");
  EXPECT_EQ(result.data, std::vector<std::byte>(100'000, std::byte{7}));
}

TEST(LimitedChild, PutsThePlaceBehindTheFileUnlessItIsAnotherFile) {
  const auto place = [](const std::string& where) {
    return error_of([&] {
             run_limited([&]() -> ChildOutput { fail(ErrorCode::bad_header, "message", where); }, small_limits(), {},
                         "file.pth", {"", "dir/config.json", "odd\nname"});
           })
        .where();
  };
  EXPECT_EQ(place("fc.weight"), "file.pth: fc.weight");
  EXPECT_EQ(place("file.pth: fc.weight"), "file.pth: fc.weight");
  EXPECT_EQ(place("dir/config.json: depths"), "dir/config.json: depths");
  EXPECT_EQ(place("odd\nname: depths"), "odd\\x0aname: depths");
}

TEST(LimitedChild, AZeroByteInAMessageDoesNotEndIt) {
  const Error error = error_of(
      [] { in_child([]() -> std::string { fail(ErrorCode::bad_header, std::string("a\0b", 3), "", "do this"); }); });
  EXPECT_STREQ(error.what(), "file.pth: a\\x00b; do this");
}

TEST(LimitedChild, PassesErrorsOnWithCodePlaceAndAdvice) {
  const Error error = error_of(
      [] { in_child([]() -> std::string { fail(ErrorCode::bad_dtype, "message", "fc.weight", "do this"); }); });
  EXPECT_EQ(error.code(), ErrorCode::bad_dtype);
  EXPECT_EQ(error.message(), "message");
  EXPECT_EQ(error.where(), "file.pth: fc.weight");
  EXPECT_EQ(error.next(), "do this");
}

TEST(LimitedChild, TextOfTheFileCannotForgeOrCutAMessage) {
  const Error error = error_of([] {
    in_child(
        []() -> std::string { fail(ErrorCode::bad_dtype, std::string("a\nb\0c", 5), std::string("\x1B[2J\0", 5)); });
  });
  EXPECT_EQ(error.message(), "a\\x0ab\\x00c");
  EXPECT_EQ(error.where(), "file.pth: \\x1b[2J\\x00");
  EXPECT_NE(error.next().find("damaged"), std::string::npos) << error.next();  // where the reader had no advice
}

TEST(LimitedChild, ACrashIsAnErrorThatNamesTheFile) {
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS}) {
    const Error error = error_of([&] {
      in_child([&]() -> std::string {
        ::signal(signal, SIG_DFL);
        ::raise(signal);
        return {};
      });
    });
    EXPECT_EQ(error.code(), ErrorCode::import_failed);
    EXPECT_EQ(error.where(), "file.pth");
    EXPECT_NE(error.message().find("signal " + std::to_string(signal)), std::string::npos) << error.message();
  }
}

TEST(LimitedChild, AChildThatExitsWithoutAResultIsAnError) {
  EXPECT_EQ(error_of([] { in_child([]() -> std::string { ::_exit(0); }); }).code(), ErrorCode::import_failed);
}

TEST(LimitedChild, AStallEndsAtTheDeadlineAndTheChildIsGone) {
  ChildLimits limits = small_limits();
  limits.wall_ms = 300;
  const auto start = std::time(nullptr);
  const Error error = error_of([&] {
    run_limited(
        []() -> ChildOutput {
          for (;;) ::pause();
        },
        limits, {}, "file.pth");
  });
  EXPECT_EQ(error.code(), ErrorCode::import_failed);
  EXPECT_NE(error.message().find("did not finish"), std::string::npos) << error.message();
  EXPECT_LT(std::time(nullptr) - start, 30);
}

TEST(LimitedChild, CpuTimeIsLimited) {
  ChildLimits limits = small_limits();
  limits.cpu_seconds = 1;
  const Error error = error_of([&] {
    run_limited(
        []() -> ChildOutput {
          volatile unsigned x = 0;
          for (;;) x = x + 1;
        },
        limits, {}, "file.pth");
  });
  EXPECT_EQ(error.code(), ErrorCode::import_failed);
  EXPECT_NE(error.message().find("CPU time"), std::string::npos) << error.message();
}

TEST(LimitedChild, MemoryIsLimited) {
  if (sandbox_is_weakened_by_sanitizer()) GTEST_SKIP() << "sanitizers reserve more address space than any limit";
  const Error error = error_of([] {
    in_child([] {
      std::vector<std::byte> large(std::size_t{200} << 20, std::byte{1});
      asm volatile("" : : "r"(large.data()) : "memory");  // or clang leaves the unread memory out
      return std::to_string(large.size());
    });
  });
  EXPECT_EQ(error.code(), ErrorCode::import_failed);
  EXPECT_NE(error.message().find("64 MiB"), std::string::npos) << error.message();
  EXPECT_EQ(in_child([] {
              std::vector<std::byte> fits(std::size_t{40} << 20, std::byte{1});
              return std::to_string(fits.size());
            }).report,
            std::to_string(40u << 20));
}

TEST(LimitedChild, ALowerLimitOfTheProcessStaysAndIsNamed) {
  if (sandbox_is_weakened_by_sanitizer()) GTEST_SKIP() << "sanitizers reserve more address space than any limit";
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  const rlimit low{pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) + (32u << 20), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &low), 0);
  const Error error = error_of([] {
    in_child([] {
      std::vector<std::byte> large(std::size_t{48} << 20, std::byte{1});
      asm volatile("" : : "r"(large.data()) : "memory");  // or clang leaves the unread memory out
      return std::to_string(large.size());
    });
  });
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_EQ(error.code(), ErrorCode::out_of_memory) << error.what();
  EXPECT_EQ(error.next(), "raise ulimit -v or -d");
}

TEST(LimitedChild, AResultBeyondItsLimitIsRefused) {
  EXPECT_EQ(
      error_of([] {
        run_limited([] { return ChildOutput{"", {std::vector<std::byte>((1u << 20) + 1)}}; }, small_limits(), {}, "f");
      }).code(),
      ErrorCode::import_failed);
}

TEST(LimitedChild, CannotOpenFilesOrSockets) {
  const ScratchFolder folder;
  const std::string path = folder / "new";
  EXPECT_EQ(in_child([&] {
              std::string opened;
              if (::open("/etc/passwd", O_RDONLY) >= 0) opened += "file ";
              if (::open(path.c_str(), O_CREAT | O_WRONLY, 0600) >= 0) opened += "new ";
              if (::socket(AF_INET, SOCK_STREAM, 0) >= 0) opened += "inet ";
              if (::socket(AF_UNIX, SOCK_STREAM, 0) >= 0) opened += "unix ";
              int ends[2];
              if (::pipe(ends) == 0) opened += "pipe ";
              return opened;
            }).report,
            "");
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(LimitedChild, CannotTouchTheFileSystemStartProgramsOrMakeCode) {
  if (sandbox_is_weakened_by_sanitizer()) GTEST_SKIP() << "sanitizers need their system calls";
  const ScratchFolder folder;
  write_text(folder / "keep", "x");
  const std::string keep = folder / "keep", made = folder / "made";
  EXPECT_EQ(in_child([&] {
              std::string done;
              if (::unlink(keep.c_str()) == 0) done += "unlink ";
              if (::mkdir(made.c_str(), 0700) == 0) done += "mkdir ";
              if (::rename(keep.c_str(), made.c_str()) == 0) done += "rename ";
              if (::chmod(keep.c_str(), 0777) == 0) done += "chmod ";
              if (::fork() >= 0) done += "fork ";
              if (::kill(::getppid(), 0) == 0) done += "kill ";
              if (::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
                done += "code ";
              ::execl("/bin/true", "true", nullptr);
              return done;
            }).report,
            "");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(LimitedChild, SeesNoDescriptorButThoseItIsGiven) {
  const ScratchFolder folder;
  write_text(folder / "secret", "secret");
  write_text(folder / "given", "given");
  const SourceFile secret = SourceFile::open(folder / "secret"), given = SourceFile::open(folder / "given");
  const auto result = run_limited(
      [&] {
        std::string text;
        char buffer[16];
        for (int fd = 3; fd < 256; ++fd) {
          const ssize_t got = ::pread(fd, buffer, sizeof buffer, 0);
          if (got > 0) text += std::string(buffer, static_cast<std::size_t>(got)) + ' ';
        }
        return ChildOutput{text, {}};
      },
      small_limits(), {given.descriptor()}, "file.pth");
  EXPECT_EQ(result.report, "given ");
}

TEST(LimitedChild, CannotGrowAFileThatItMayWrite) {
  const ScratchFolder folder;
  const int fd = ::open((folder / "out").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  const auto result = run_limited(
      [&] {
        ::signal(SIGXFSZ, SIG_IGN);
        return ChildOutput{::write(fd, "x", 1) == 1 ? "wrote" : "refused", {}};
      },
      small_limits(), {fd}, "file.pth");
  EXPECT_EQ(result.report, "refused");
  ::close(fd);
}

TEST(LimitedChild, LeavesNothingBehindHoweverOftenItFails) {
  error_of([] { in_child([]() -> std::string { ::_exit(1); }); });
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 20; ++i) error_of([] { in_child([]() -> std::string { ::_exit(1); }); });
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // no zombie
}

TEST(SourceFile, RefusesWhatIsNoRegularFile) {
  const ScratchFolder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  for (const std::string& path : {folder / "missing", folder.path(), folder / "fifo", std::string("/dev/zero")}) {
    const Error error = error_of([&] { SourceFile::open(path); });
    EXPECT_EQ(error.code(), ErrorCode::io) << path;
    EXPECT_EQ(error.where(), path);
  }
}

TEST(SourceFile, AFileThatShrinksWhileItIsReadIsAnErrorNotASignal) {
  const ScratchFolder folder;
  const std::string path = folder / "f";
  write_text(path, std::string(100'000, 'x'));
  const SourceFile file = SourceFile::open(path);
  ASSERT_EQ(::truncate(path.c_str(), 10), 0);
  EXPECT_EQ(error_of([&] { file.read(0, 100'000); }).code(), ErrorCode::file_changed);
  EXPECT_EQ(error_of([&] { file.check_unchanged(); }).code(), ErrorCode::file_changed);
}

TEST(SourceFile, AFileThatIsRewrittenIsNoticed) {
  const ScratchFolder folder;
  const std::string path = folder / "f";
  write_text(path, "aaaa");
  const SourceFile file = SourceFile::open(path);
  file.check_unchanged();
  write_text(path, "bbbb");
  const struct timespec times[2] = {{1, 0}, {1, 0}};  // whatever the clock's resolution
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  EXPECT_EQ(error_of([&] { file.check_unchanged(); }).code(), ErrorCode::file_changed);
}

TEST(SourceFile, ARangeOutsideTheFileIsTruncatedAndCostsNoMemory) {
  const SourceFile file = SourceFile::from_bytes(to_bytes("abc"), "f");
  EXPECT_EQ(error_of([&] { file.read(0, std::uint64_t{1} << 60); }).code(), ErrorCode::truncated);
  EXPECT_EQ(error_of([&] { file.read(~std::uint64_t{0}, 2); }).code(), ErrorCode::truncated);
  EXPECT_EQ(file.read(1, 2), to_bytes("bc"));
}

}  // namespace
}  // namespace resnet::convert
