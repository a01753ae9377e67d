#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/atomic_file.hpp"

namespace resnet::tools {

/// NumPy's array file, versions 1.0, 2.0 and 3.0 (numpy/lib/format.py): magic, version, header length, a Python dict
/// literal with descr, fortran_order and shape, padded; then the elements.
enum class NpyType : std::uint8_t { f32, f64, u8 };  // '<f4', '<f8', '|u1'

std::size_t npy_type_size(NpyType type) noexcept;

struct NpyHeader {
  NpyType type = NpyType::f32;
  std::vector<std::int64_t> shape;
  bool fortran_order = false;  ///< the first axis varies fastest
  std::size_t data_offset = 0;
  std::int64_t elements() const;
};

inline constexpr std::size_t max_npy_header_bytes = 64 * 1024;
inline constexpr std::size_t max_npy_rank = 32;
/// A row of an array in Fortran order lies spread over the whole file, which is bearable in the page cache only.
inline constexpr std::int64_t max_npy_fortran_bytes = std::int64_t{256} << 20;

/// Parses the start of a file of `file_bytes` bytes. Strict: little endian, exact file size, no unknown or repeated
/// key. @throws Error bad_header, bad_dtype, truncated, trailing_bytes, limit_exceeded (also for large arrays in
/// Fortran order), overflow; `where` names the file
NpyHeader parse_npy_header(std::span<const std::byte> prefix, std::uint64_t file_bytes, std::string_view where);

/// An open array file, read by rows: a row is everything behind the first axis. Thread-safe.
class NpyReader {
 public:
  /// @throws Error io and everything that parse_npy_header throws
  explicit NpyReader(std::string path);
  ~NpyReader();
  NpyReader(const NpyReader&) = delete;
  NpyReader& operator=(const NpyReader&) = delete;

  const NpyHeader& header() const noexcept { return header_; }
  const std::string& path() const noexcept { return path_; }
  std::int64_t rows() const noexcept { return header_.shape.empty() ? 1 : header_.shape[0]; }
  std::int64_t row_elements() const;

  /// Rows [first, first + count) as float32 (float64 is rounded, uint8 taken as 0..255), in C order whatever the
  /// file's.
  /// @throws Error invalid_argument, io, file_changed
  void read_rows(std::int64_t first, std::int64_t count, std::span<float> out) const;

 private:
  void read_exactly(std::size_t offset, std::span<std::byte> out) const;
  void read_fortran_rows(std::int64_t first, std::int64_t count, std::span<float> out) const;

  std::string path_;
  int descriptor_ = -1;
  NpyHeader header_;
};

/// Writes float32 rows as they come; the number of rows is filled in by commit(). Version 1.0, C order. The file is
/// atomic and claimed at once, so that an unwritable place is found before the work begins. @throws OutputError
class NpyWriter {
 public:
  explicit NpyWriter(const std::string& path);
  /// Whether rows of this shape are like those before: one array holds one shape.
  bool fits(std::span<const std::int64_t> row_shape) const;
  /// A whole number of rows, at least one, that fit; `row_shape` is every axis behind the first.
  void append(std::span<const float> rows, std::span<const std::int64_t> row_shape);
  /// Without any rows nothing is written.
  void commit();

  const std::string& path() const noexcept { return file_.path(); }

 private:
  AtomicFile file_;
  std::vector<std::int64_t> row_shape_;
  std::int64_t rows_ = 0;
};

/// The 128 or more bytes before the data of a version 1.0 file of float32 in C order.
std::string npy_header_bytes(std::int64_t rows, std::span<const std::int64_t> row_shape);

}  // namespace resnet::tools
