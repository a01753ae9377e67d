#include "base/read_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.hpp"
#include "base/file_descriptor.hpp"

namespace resnet {

std::optional<std::string> read_file(const std::string& path, std::size_t most_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (!file) fail(ErrorCode::io, errno_text(errno), path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) fail(ErrorCode::io, "it is no regular file", path);
  std::string text;
  for (char block[1 << 14];;) {
    const ssize_t count = retry_interrupted([&] { return ::read(file.get(), block, sizeof block); });
    if (count < 0) fail(ErrorCode::io, errno_text(errno), path);
    if (count == 0) return text;
    text.append(block, static_cast<std::size_t>(count));
    if (text.size() > most_bytes)
      fail(ErrorCode::limit_exceeded, "it is larger than " + std::to_string(most_bytes) + " bytes", path);
  }
}

}  // namespace resnet
