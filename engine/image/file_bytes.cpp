#include "image/file_bytes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "base/check.hpp"
#include "image/limits.hpp"

namespace resnet {
namespace {

/// Closes a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail_errno(const std::string& what, const std::string& path, std::string next) {
  fail(ErrorCode::io, what + ": " + std::generic_category().message(errno), path, std::move(next));
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "no regular file";
}

}  // namespace

FileBytes read_image_file(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    fail(ErrorCode::io, "the path holds a zero byte", path.c_str(), "name an image file");
  }
  // Non-blocking, because opening a pipe without a writer would wait for ever.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) fail_errno("cannot open the file", path, "check the path and its permissions");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail_errno("cannot examine the file", path, "check the file system");
  if (!S_ISREG(status.st_mode)) {
    fail(ErrorCode::io, std::string("this is ") + kind_of(status.st_mode) + ", not an image file", path,
         "name a regular file, or copy the data into one");
  }
  FileBytes bytes;
  bytes.size = static_cast<std::size_t>(status.st_size);
  check_image_file_bytes(bytes.size, path);
  // One byte more than the file should have shows that it grew.
  bytes.data.reset(new (std::nothrow) std::uint8_t[bytes.size + 1]);
  if (!bytes.data)
    fail(ErrorCode::out_of_memory, "cannot hold " + std::to_string(bytes.size) + " bytes", path, "free memory");
  std::size_t got = 0;
  while (got <= bytes.size) {
    const ssize_t n = ::read(file.get(), bytes.data.get() + got, bytes.size + 1 - got);
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("cannot read the file", path, "check the disk");
    got += static_cast<std::size_t>(n);
  }
  if (got != bytes.size) {
    fail(ErrorCode::file_changed, "the size changed while the file was read", path, "try again when it is complete");
  }
  return bytes;
}

}  // namespace resnet
