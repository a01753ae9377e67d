#include "model/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "base/check.hpp"
#include "model/file_descriptor.hpp"
#include "model/model_file.hpp"

namespace resnet {
namespace {

[[noreturn]] void io_error(const std::string& path, std::string_view action, int error) {
  fail(ErrorCode::io, "cannot " + std::string(action) + ": " + errno_text(error), path);
}

void write_all(int fd, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = retry_interrupted([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (written < 0) io_error(path, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

/// A device or a pipe has no old content to keep.
void write_in_place(const std::string& path, std::span<const std::byte> bytes) {
  // O_NONBLOCK: a FIFO without a reader is an error, no wait.
  const FileDescriptor fd(
      retry_interrupted([&] { return ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); }));
  if (!fd) io_error(path, "open for writing", errno);
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK) < 0) io_error(path, "set up writing", errno);
  write_all(fd.get(), bytes, path);
}

/// A file that is removed again unless it was moved to its place.
class TemporaryName {
 public:
  explicit TemporaryName(std::string name) : name_(std::move(name)) {}
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;
  ~TemporaryName() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }
  void move_to(const std::string& path) {
    if (::rename(name_.c_str(), path.c_str()) != 0) io_error(path, "rename the finished file", errno);
    name_.clear();
  }

 private:
  std::string name_;
};

/// A name beside the target that nobody uses: process, time and a count. Short, so that it fits where the target does.
std::string temporary_name(const std::string& directory) {
  static std::atomic<unsigned> count{0};
  const auto now = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  char name[80];
  std::snprintf(name, sizeof name, "/.resnet_engine.%lx.%llx.%x.tmp", static_cast<unsigned long>(::getpid()),
                static_cast<unsigned long long>(now), count.fetch_add(1));
  return directory + name;
}
constexpr int name_attempts = 100;

/// Gives an unnamed file a name. False where that cannot be done (no /proc, a file system without links).
bool link_unnamed(int fd, const std::string& name) {
  const std::string source = "/proc/self/fd/" + std::to_string(fd);
  return ::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

void finish(int fd, std::span<const std::byte> bytes, const std::optional<mode_t>& mode, const std::string& path) {
  if (mode && ::fchmod(fd, *mode) != 0) io_error(path, "set permissions", errno);
  write_all(fd, bytes, path);
  if (retry_interrupted([&] { return ::fsync(fd); }) != 0) io_error(path, "flush to disk", errno);
}

/// A link cannot replace a file: the finished file gets a free temporary name first, for the moment until the rename.
bool link_and_rename(int fd, const std::string& directory, const std::string& path) {
  for (int attempt = 0; attempt < name_attempts; ++attempt) {
    const std::string name = temporary_name(directory);
    if (link_unnamed(fd, name)) {
      TemporaryName(name).move_to(path);
      return true;
    }
    if (errno != EEXIST) return false;
  }
  return false;
}

bool write_unnamed(const std::string& directory, const std::string& path, std::span<const std::byte> bytes,
                   const std::optional<mode_t>& mode) {
  const FileDescriptor fd(
      retry_interrupted([&] { return ::open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666); }));
  if (!fd) return false;
  finish(fd.get(), bytes, mode, path);
  if (link_unnamed(fd.get(), path)) return true;
  return errno == EEXIST && link_and_rename(fd.get(), directory, path);
}

void write_named(const std::string& directory, const std::string& path, std::span<const std::byte> bytes,
                 const std::optional<mode_t>& mode) {
  for (int attempt = 0; attempt < name_attempts; ++attempt) {
    const std::string name = temporary_name(directory);
    const FileDescriptor fd(
        retry_interrupted([&] { return ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
    if (!fd && errno == EEXIST) continue;
    if (!fd) break;
    TemporaryName temporary(name);
    finish(fd.get(), bytes, mode, path);
    return temporary.move_to(path);
  }
  io_error(path, "create a file in " + directory, errno);
}

void flush_directory(const std::string& directory, const std::string& path) {
  const FileDescriptor fd(
      retry_interrupted([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  // Not every file system can flush a directory, and not every directory may be opened.
  if (fd && retry_interrupted([&] { return ::fsync(fd.get()); }) != 0 && errno != EINVAL && errno != EROFS) {
    io_error(path, "flush the directory to disk", errno);
  }
}

}  // namespace

void write_file_atomically(const std::string& path, std::span<const std::byte> bytes, TempFile kind) {
  struct stat existing {};
  const bool exists = ::stat(path.c_str(), &existing) == 0;
  if (!exists && errno != ENOENT) io_error(path, "write", errno);
  if (exists && S_ISDIR(existing.st_mode)) fail(ErrorCode::io, "is a directory", path);
  if (exists && !S_ISREG(existing.st_mode)) return write_in_place(path, bytes);

  std::error_code ignored;
  const std::filesystem::path target = exists ? std::filesystem::canonical(path, ignored) : std::filesystem::path(path);
  const std::string file = ignored ? path : target.string();
  const std::string directory = std::filesystem::path(file).has_parent_path()
                                    ? std::filesystem::path(file).parent_path().string()
                                    : std::string(".");
  const std::optional<mode_t> mode = exists ? std::optional<mode_t>(existing.st_mode & 07777) : std::nullopt;
  if (kind == TempFile::named || !write_unnamed(directory, file, bytes, mode))
    write_named(directory, file, bytes, mode);
  flush_directory(directory, file);
}

void write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  write_file_atomically(path, bytes, TempFile::unnamed);
}

}  // namespace resnet
