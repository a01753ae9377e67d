#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace resnet::tools {

/// A file that appears complete or not at all: written under a temporary name beside `path`, renamed by commit(),
/// removed by the destructor and by signals that end the tool. An existing file keeps its content until commit().
/// Devices and pipes (/dev/null, /dev/stdout) are written directly. Every failure is an OutputError that names the
/// path.
class AtomicFile {
 public:
  /// Creates the temporary file at once, so that an unwritable place is found before the work begins. A pipe that
  /// nobody reads is an error.
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends.
  void write(std::span<const std::byte> bytes);
  /// Whether rewrite_start() is possible: not on pipes and terminals.
  bool seekable() const noexcept;
  /// Overwrites from the start of the file.
  void rewrite_start(std::span<const std::byte> bytes);
  /// Flushes to the disk and renames; nothing may follow.
  void commit();

  const std::string& path() const noexcept { return path_; }

 private:
  void open_in_place();
  [[noreturn]] void fail(const char* action) const;

  std::string path_, target_, temporary_;  // temporary_ is empty when target_ is written directly
  std::optional<std::size_t> slot_;
  int descriptor_ = -1;
};

/// The bytes as one file, complete or not at all. @throws OutputError
void write_file(const std::string& path, std::span<const std::byte> bytes);

}  // namespace resnet::tools
