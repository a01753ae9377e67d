#include "convert/source_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace resnet::convert {
namespace {

constexpr const char* again = "wait until it is written completely, then convert again";

}  // namespace

SourceFile::SourceFile(std::string name, int fd, std::vector<std::byte> bytes, std::uint64_t size)
    : name_(std::move(name)), fd_(fd), bytes_(std::move(bytes)), size_(size) {}

SourceFile::SourceFile(SourceFile&& other) noexcept
    : name_(std::move(other.name_)),
      fd_(std::exchange(other.fd_, -1)),
      bytes_(std::move(other.bytes_)),
      size_(other.size_),
      modified_s_(other.modified_s_),
      modified_ns_(other.modified_ns_) {}

SourceFile::~SourceFile() {
  if (fd_ >= 0) ::close(fd_);
}

SourceFile SourceFile::open(const std::string& path, std::string_view instead) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) fail(ErrorCode::io, std::string("cannot be opened: ") + std::strerror(errno), path, "check the path");
  SourceFile file(path, fd, {}, 0);
  struct stat info = {};
  if (::fstat(fd, &info) != 0) fail(ErrorCode::io, std::strerror(errno), path, "check the path");
  if (S_ISDIR(info.st_mode)) fail(ErrorCode::io, "is a directory", path, std::string(instead));
  if (!S_ISREG(info.st_mode)) fail(ErrorCode::io, "is not a regular file", path, "save it to disk first");
  file.size_ = static_cast<std::uint64_t>(info.st_size);
  file.modified_s_ = info.st_mtim.tv_sec;
  file.modified_ns_ = info.st_mtim.tv_nsec;
  return file;
}

SourceFile SourceFile::from_bytes(std::vector<std::byte> bytes, std::string name) {
  const std::uint64_t size = bytes.size();
  return SourceFile(std::move(name), -1, std::move(bytes), size);
}

void SourceFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > size_ || out.size() > size_ - offset) {
    fail(ErrorCode::truncated,
         "ends at byte " + std::to_string(size_) + ", but bytes " + std::to_string(offset) + " to " +
             std::to_string(offset) + "+" + std::to_string(out.size()) + " are needed",
         name_, "download or copy the file again");
  }
  if (fd_ < 0) {
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return;
  }
  while (!out.empty()) {
    const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(ErrorCode::io, std::string("cannot be read: ") + std::strerror(errno), name_, "check the disk");
    if (got == 0) fail(ErrorCode::file_changed, "became shorter while it was read", name_, again);
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

std::vector<std::byte> SourceFile::read(std::uint64_t offset, std::uint64_t bytes) const {
  // The range is checked before memory is taken, so a lying size costs nothing.
  if (offset > size_ || bytes > size_ - offset)
    read(offset, std::span<std::byte>(static_cast<std::byte*>(nullptr), bytes));
  std::vector<std::byte> out(bytes);
  read(offset, out);
  return out;
}

void SourceFile::check_unchanged() const {
  if (fd_ < 0) return;
  struct stat info = {};
  if (::fstat(fd_, &info) != 0) fail(ErrorCode::io, std::strerror(errno), name_, again);
  if (static_cast<std::uint64_t>(info.st_size) != size_ || info.st_mtim.tv_sec != modified_s_ ||
      info.st_mtim.tv_nsec != modified_ns_) {
    fail(ErrorCode::file_changed, "changed while it was read", name_, again);
  }
}

std::string why_no_file(const std::string& path) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT || errno == ENOTDIR ? "" : std::string("cannot be opened: ") + std::strerror(errno);
  }
  const bool link = S_ISLNK(info.st_mode);
  if (link && ::stat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? "is a link to a file that is missing"
                           : std::string("is a link that cannot be followed: ") + std::strerror(errno);
  }
  if (S_ISDIR(info.st_mode)) return "is a directory";
  return S_ISREG(info.st_mode) ? "" : "is not a regular file";
}

void SourceFiles::open_beside(const std::string& folder, const std::string& name, const std::string& next) {
  const std::string path = folder.empty() ? name : folder + '/' + name;
  std::string why = why_no_file(path);
  struct stat info = {};
  if (why.empty() && ::lstat(path.c_str(), &info) != 0) return;
  if (why.empty()) {
    try {
      beside.emplace(name, SourceFile::open(path));
      return;
    } catch (const Error& error) {
      why = error.message();
    }
  }
  unreadable.emplace(name, Unreadable{path, std::move(why), next});
}

const SourceFile* SourceFiles::find(std::string_view name) const {
  if (const auto broken = unreadable.find(name); broken != unreadable.end()) {
    fail(ErrorCode::io, broken->second.why, broken->second.path, broken->second.next);
  }
  const auto found = beside.find(name);
  return found == beside.end() ? nullptr : &found->second;
}

}  // namespace resnet::convert
