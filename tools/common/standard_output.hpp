#pragma once

#include <string>
#include <string_view>

namespace resnet::tools {

/// Buffered stdout. A reader that goes away (`| head -1`) closes it quietly; a full disk is an OutputError.
class StandardOutput {
 public:
  /// Appends to the buffer; writes it out when it is large.
  void write(std::string_view text);
  /// Writes the buffer out. @throws OutputError
  void flush();
  /// True once nobody reads any more; later text is dropped.
  bool closed() const noexcept { return closed_; }

 private:
  std::string buffer_;
  bool closed_ = false;
};

}  // namespace resnet::tools
