#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/source_file.hpp"

namespace resnet::convert {

/// A zip file read through libzip. Strict: refuses encrypted entries, compressed ones unless allowed (PyTorch never
/// compresses), duplicate names, names that leave the archive, comments, anything before the first or after the last
/// record, and entries that overlap. Not thread-safe.
class ZipArchive {
 public:
  /// `file` must outlive the archive. @throws Error import_failed that names the entry
  enum class Compression : std::uint8_t { refused, allowed };
  explicit ZipArchive(const SourceFile& file, Compression compression = Compression::refused);
  ~ZipArchive();
  ZipArchive(const ZipArchive&) = delete;
  ZipArchive& operator=(const ZipArchive&) = delete;

  struct Entry {
    std::string name;
    std::uint64_t bytes = 0;
    std::uint64_t stored_bytes = 0;  ///< compressed, or the same
  };
  const std::vector<Entry>& entries() const noexcept { return entries_; }
  /// Index of the entry of that name.
  std::optional<std::size_t> find(std::string_view name) const;

  /// All bytes of an entry, CRC-32 verified. @throws Error import_failed, limit_exceeded above `limit` bytes
  std::vector<std::byte> read(std::size_t entry, std::uint64_t limit = UINT64_MAX) const;

 private:
  struct Handle;
  const SourceFile& file_;
  std::unique_ptr<Handle> handle_;
  std::vector<Entry> entries_;
};

}  // namespace resnet::convert
