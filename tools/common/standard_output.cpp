#include "common/standard_output.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/tool_error.hpp"

namespace resnet::tools {

void StandardOutput::write(std::string_view text) {
  if (closed_) return;
  buffer_ += text;
  if (buffer_.size() >= 64 * 1024) flush();
}

void StandardOutput::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty() && !closed_) {
    const ssize_t written = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE) {
      closed_ = true;
    } else if (errno != EINTR) {
      throw OutputError(std::string("cannot write to standard output: ") + std::strerror(errno));
    }
  }
  buffer_.clear();
}

}  // namespace resnet::tools
