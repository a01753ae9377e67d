#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace resnet::convert {

/// Random access to the bytes of a file that is converted. Reads with pread, never maps: a file that shrinks is an
/// error, not a signal. Move-only; reading is thread-safe.
class SourceFile {
 public:
  /// `instead` is what to do where the path is a directory.
  /// @throws Error io when the path is missing, unreadable or not a regular file
  static SourceFile open(const std::string& path, std::string_view instead = "name the weight file inside it");
  /// A file held in memory, for tests and the fuzzer.
  static SourceFile from_bytes(std::vector<std::byte> bytes, std::string name);

  SourceFile(SourceFile&& other) noexcept;
  SourceFile& operator=(SourceFile&&) = delete;
  ~SourceFile();

  const std::string& name() const noexcept { return name_; }
  std::uint64_t size() const noexcept { return size_; }
  /// The descriptor, or -1 for a file in memory.
  int descriptor() const noexcept { return fd_; }

  /// Fills `out` with the bytes from `offset` on.
  /// @throws Error truncated when the range is not inside the file, file_changed when it was and is not any more, io
  void read(std::uint64_t offset, std::span<std::byte> out) const;
  std::vector<std::byte> read(std::uint64_t offset, std::uint64_t bytes) const;

  /// @throws Error file_changed when size or modification time differ from those at open()
  void check_unchanged() const;

 private:
  SourceFile(std::string name, int fd, std::vector<std::byte> bytes, std::uint64_t size);

  std::string name_;
  int fd_ = -1;
  std::vector<std::byte> bytes_;
  std::uint64_t size_ = 0;
  std::int64_t modified_s_ = 0, modified_ns_ = 0;
};

/// The file that is converted, and the files beside it that it may need. All are open before the first byte is parsed:
/// the parsing process can open nothing.
struct SourceFiles {
  /// A file that is there and cannot be read, which matters only when it is asked for.
  struct Unreadable {
    std::string path, why, next;
  };
  SourceFiles(const SourceFile& only) : main(only) {}  // implicit: most sources are one file
  /// Opens `name` in `folder` ("" is the current one) where there is such a file; `next` is what to do about one that
  /// cannot be read.
  void open_beside(const std::string& folder, const std::string& name, const std::string& next);
  /// The file of that name (without folders) beside the main one, or null when there is none.
  /// @throws Error io when it is there and cannot be read
  const SourceFile* find(std::string_view name) const;

  const SourceFile& main;  ///< outlives this object
  std::map<std::string, SourceFile, std::less<>> beside;
  std::map<std::string, Unreadable, std::less<>> unreadable;
  bool external_data = false;                                  ///< whether an ONNX model may keep weights beside it
  std::map<std::string, Unreadable, std::less<>> no_external;  ///< files there that may not hold them
};

/// Why the path cannot be opened as a file ("is a directory"), or nothing when it can or when nothing is there.
std::string why_no_file(const std::string& path);

}  // namespace resnet::convert
