#pragma once

#include <string>
#include <string_view>

namespace resnet::test {

/// A fresh empty folder under the system's temporary one, removed with everything in it at the end of the test.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }
  /// The full path of a name inside.
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  /// Number of entries inside, hidden ones included.
  std::size_t entries() const;

 private:
  std::string path_;
};

/// Whole files. Both throw std::runtime_error when that fails.
std::string read_text(const std::string& path);
void write_text(const std::string& path, std::string_view text);

}  // namespace resnet::test
