#include "common/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <utility>

#include "common/same_file.hpp"
#include "common/temporary_files.hpp"
#include "common/tool_error.hpp"

namespace resnet::tools {
namespace {

std::string random_suffix() {
  static constexpr char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device source;
  std::string suffix;
  for (int i = 0; i < 8; ++i) suffix += letters[source() % (sizeof letters - 1)];
  return suffix;
}

/// Makes a rename last. Not every file system can flush a folder, and not every folder may be opened.
void flush_folder(const std::filesystem::path& file) {
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  [[maybe_unused]] const int flushed = fsync(descriptor);
  close(descriptor);
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), target_(path_) {
  if (path_.empty()) throw OutputError("an output file has an empty name");
  struct stat info {};
  const bool exists = stat(path_.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) throw OutputError("cannot write " + path_ + ": it is a directory");
  if (exists && !S_ISREG(info.st_mode)) {
    open_in_place();
    return;
  }
  // Through a symbolic link the file behind it is replaced or created; the link stays.
  std::error_code links;
  const std::filesystem::path target = behind_links(path_, links);
  if (links) throw OutputError("cannot write " + path_ + ": " + links.message());
  target_ = target.string();
  if (exists && access(target_.c_str(), W_OK) != 0) fail("write");
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    // Not the target's name: with anything added the longest names would not fit.
    temporary_ = (target.parent_path() / (".resnet_tool." + random_suffix())).string();
    slot_ = remember_temporary_file(temporary_);
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ >= 0) break;
    const int error = errno;
    forget_temporary_file(*std::exchange(slot_, std::nullopt));
    errno = error;
    if (error != EEXIST || attempt == 100) fail("write");
  }
  if (exists) {
    // The rename must not change who may read the file; a failure leaves the narrower of both.
    [[maybe_unused]] const int unchanged = fchmod(descriptor_, info.st_mode & 0777);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
  if (slot_) forget_temporary_file(*slot_);
}

void AtomicFile::open_in_place() {
  // O_NONBLOCK: a pipe without a reader is an error, no wait.
  descriptor_ = open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor_ < 0 && errno == ENXIO) throw OutputError("cannot write " + path_ + ": nobody reads this pipe");
  if (descriptor_ < 0) fail("write");
  const int flags = fcntl(descriptor_, F_GETFL);
  if (flags < 0 || fcntl(descriptor_, F_SETFL, flags & ~O_NONBLOCK) < 0) fail("write");
}

bool AtomicFile::seekable() const noexcept { return lseek(descriptor_, 0, SEEK_CUR) >= 0; }

void AtomicFile::fail(const char* action) const {
  throw OutputError(std::string("cannot ") + action + " " + path_ + ": " + std::strerror(errno));
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::rewrite_start(std::span<const std::byte> bytes) {
  if (lseek(descriptor_, 0, SEEK_SET) < 0) fail("write");
  write(bytes);
  if (lseek(descriptor_, 0, SEEK_END) < 0) fail("write");
}

void AtomicFile::commit() {
  if (!temporary_.empty() && fsync(descriptor_) != 0) fail("write");
  if (close(std::exchange(descriptor_, -1)) != 0) fail("write");
  if (temporary_.empty()) return;
  if (rename(temporary_.c_str(), target_.c_str()) != 0) fail("write");
  temporary_.clear();
  forget_temporary_file(*std::exchange(slot_, std::nullopt));
  flush_folder(target_);
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace resnet::tools
