#include "common/npy.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/little_endian.hpp"
#include "common/tool_error.hpp"
#include "resnet_engine/error.hpp"

namespace resnet::tools {
namespace {

static_assert(std::endian::native == std::endian::little, "array files are read and written as they lie in memory");

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::size_t piece_bytes = std::size_t{64} * 1024;

[[noreturn]] void reject(ErrorCode code, std::string message, std::string_view where) {
  throw Error(code, std::move(message), std::string(where),
              "write it with numpy.save(path, numpy.ascontiguousarray(x, dtype=numpy.float32))");
}

bool multiply(std::int64_t a, std::int64_t b, std::int64_t& product) { return !__builtin_mul_overflow(a, b, &product); }

/// The subset of Python literals that numpy writes: a dict of strings, booleans and one tuple of integers.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view where) : text_(text), where_(where) {}

  NpyHeader parse() {
    NpyHeader header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !descr) {
        descr = true;
        header.type = type(string());
      } else if (key == "fortran_order" && !order) {
        order = true;
        header.fortran_order = boolean();
      } else if (key == "shape" && !shape) {
        shape = true;
        header.shape = tuple();
      } else {
        malformed("an unknown or repeated key \"" + key.substr(0, 40) + "\"");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!text_.empty()) malformed("text after the dictionary");
    if (!descr || !order || !shape) malformed("descr, fortran_order or shape is missing");
    return header;
  }

 private:
  [[noreturn]] void malformed(const std::string& what) const {
    reject(ErrorCode::bad_header, "malformed array header: " + what, where_);
  }
  void skip_space() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t')) text_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_space();
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) malformed(std::string("expected '") + c + "'");
  }
  std::string string() {
    skip_space();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) malformed("expected a string");
    const std::size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) malformed("a string does not end");
    std::string value(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return value;
  }
  bool boolean() {
    skip_space();
    for (const auto& [name, value] : {std::pair{std::string_view("True"), true}, {std::string_view("False"), false}}) {
      if (text_.starts_with(name)) {
        text_.remove_prefix(name.size());
        return value;
      }
    }
    malformed("expected True or False");
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      values.push_back(integer());
      if (values.size() > max_npy_rank) reject(ErrorCode::limit_exceeded, "more than 32 axes", where_);
      if (!accept(',')) {
        if (values.size() == 1) malformed("a tuple of one value needs a comma");
        expect(')');
        break;
      }
    }
    return values;
  }
  std::int64_t integer() {
    skip_space();
    std::int64_t value = 0;
    std::size_t digits = 0;
    for (; digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
      if (!multiply(value, 10, value) || __builtin_add_overflow(value, text_[digits] - '0', &value)) {
        reject(ErrorCode::overflow, "an axis does not fit into 64 bits", where_);
      }
    }
    if (digits == 0) malformed("expected a number");
    text_.remove_prefix(digits);
    if (!text_.empty() && text_[0] == 'L') text_.remove_prefix(1);  // written by Python 2
    return value;
  }
  NpyType type(const std::string& descr) const {
    if (descr == "<f4") return NpyType::f32;
    if (descr == "<f8") return NpyType::f64;
    if (descr == "|u1") return NpyType::u8;
    reject(ErrorCode::bad_dtype, "element type \"" + descr.substr(0, 40) + "\" is not <f4, <f8 or |u1", where_);
  }

  std::string_view text_, where_;
};

float value_at(NpyType type, const std::byte* at) {
  if (type == NpyType::u8) return static_cast<float>(std::to_integer<int>(*at));
  if (type == NpyType::f32) {
    float value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  double value = 0;
  std::memcpy(&value, at, sizeof value);
  return static_cast<float>(value);
}

}  // namespace

std::size_t npy_type_size(NpyType type) noexcept { return type == NpyType::f32 ? 4 : type == NpyType::f64 ? 8 : 1; }

std::int64_t NpyHeader::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t axis : shape) product *= axis;
  return product;
}

NpyHeader parse_npy_header(std::span<const std::byte> prefix, std::uint64_t file_bytes, std::string_view where) {
  if (prefix.size() < 10) reject(ErrorCode::truncated, "the file ends inside the array header", where);
  if (std::memcmp(prefix.data(), magic.data(), magic.size()) != 0) {
    reject(ErrorCode::bad_header, "this is no NumPy array file", where);
  }
  const int major = std::to_integer<int>(prefix[6]);
  if (major < 1 || major > 3 || prefix[7] != std::byte{0}) {
    reject(ErrorCode::bad_header, "array file version " + std::to_string(major) + " is not 1, 2 or 3", where);
  }
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  if (prefix.size() < 8 + length_bytes) reject(ErrorCode::truncated, "the file ends inside the array header", where);
  const std::uint64_t length = little_endian(prefix.subspan(8, length_bytes));
  if (length > max_npy_header_bytes) reject(ErrorCode::limit_exceeded, "the array header is longer than 64 KiB", where);
  const std::size_t offset = 8 + length_bytes + length;
  if (prefix.size() < offset) reject(ErrorCode::truncated, "the file ends inside the array header", where);

  const auto text = prefix.subspan(8 + length_bytes, length);
  std::string header_text(text.size(), '\0');
  std::memcpy(header_text.data(), text.data(), text.size());
  NpyHeader header = HeaderParser(header_text, where).parse();
  header.data_offset = offset;

  auto bytes = static_cast<std::int64_t>(npy_type_size(header.type));
  bool empty = false;
  for (const std::int64_t axis : header.shape) {
    empty = empty || axis == 0;
    if (axis != 0 && !multiply(bytes, axis, bytes)) {
      reject(ErrorCode::overflow, "the array's size does not fit into 64 bits", where);
    }
  }
  if (empty) bytes = 0;
  header.fortran_order = header.fortran_order && header.shape.size() > 1;  // else both orders are one
  const std::uint64_t present = file_bytes - std::min<std::uint64_t>(offset, file_bytes);
  const auto wanted = static_cast<std::uint64_t>(bytes);
  const std::string sizes = std::to_string(present) + " bytes of data where the shape needs " + std::to_string(wanted);
  if (present < wanted) reject(ErrorCode::truncated, sizes, where);
  if (present > wanted) reject(ErrorCode::trailing_bytes, sizes, where);
  if (header.fortran_order && bytes > max_npy_fortran_bytes) {
    reject(ErrorCode::limit_exceeded, "the array is in Fortran order and larger than 256 MiB", where);
  }
  return header;
}

NpyReader::NpyReader(std::string path) : path_(std::move(path)) {
  descriptor_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // no waiting for a pipe
  struct stat info {};
  if (descriptor_ < 0 || fstat(descriptor_, &info) != 0) {
    const std::string reason = std::strerror(errno);
    if (descriptor_ >= 0) close(descriptor_);
    throw Error(ErrorCode::io, "cannot open: " + reason, path_, "check the path");
  }
  try {
    if (!S_ISREG(info.st_mode)) {
      throw Error(ErrorCode::io, "is not a regular file", path_, "name an array that numpy.save wrote to disk");
    }
    std::vector<std::byte> prefix(max_npy_header_bytes + 12);
    std::size_t filled = 0;
    for (ssize_t got = 1; got > 0 && filled < prefix.size(); filled += static_cast<std::size_t>(got)) {
      got = pread(descriptor_, prefix.data() + filled, prefix.size() - filled, static_cast<off_t>(filled));
      if (got < 0) throw Error(ErrorCode::io, std::string("cannot read: ") + std::strerror(errno), path_);
    }
    prefix.resize(filled);
    header_ = parse_npy_header(prefix, static_cast<std::uint64_t>(info.st_size), path_);
  } catch (...) {
    close(descriptor_);
    throw;
  }
}

NpyReader::~NpyReader() { close(descriptor_); }

std::int64_t NpyReader::row_elements() const {
  std::int64_t product = 1;
  for (std::size_t i = 1; i < header_.shape.size(); ++i) product *= header_.shape[i];
  return product;
}

void NpyReader::read_exactly(std::size_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ErrorCode::io, std::string("cannot read: ") + std::strerror(errno), path_);
    if (got == 0) {
      throw Error(ErrorCode::file_changed, "the file became shorter while it was read", path_,
                  "wait until it is written completely");
    }
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::size_t>(got);
  }
}

void NpyReader::read_rows(std::int64_t first, std::int64_t count, std::span<float> out) const {
  const std::int64_t elements = row_elements() * count;
  if (first < 0 || count < 0 || first > rows() - count || static_cast<std::int64_t>(out.size()) != elements) {
    throw Error(ErrorCode::invalid_argument, "rows outside the array or a buffer of the wrong size", path_);
  }
  if (header_.fortran_order) return read_fortran_rows(first, count, out);
  const std::size_t size = npy_type_size(header_.type);
  std::size_t offset = header_.data_offset + static_cast<std::size_t>(first * row_elements()) * size;
  if (header_.type == NpyType::f32) return read_exactly(offset, std::as_writable_bytes(out));
  std::vector<std::byte> piece(piece_bytes);
  while (!out.empty()) {
    const std::size_t n = std::min(out.size(), piece.size() / size);
    read_exactly(offset, std::span(piece).first(n * size));
    for (std::size_t i = 0; i < n; ++i) out[i] = value_at(header_.type, piece.data() + i * size);
    out = out.subspan(n);
    offset += n * size;
  }
}

/// The file is a sequence of columns: all rows' values at one place within a row. Several are read at once where they
/// are short, of long ones only the rows that are asked for.
void NpyReader::read_fortran_rows(std::int64_t first, std::int64_t count, std::span<float> out) const {
  if (out.empty()) return;
  const std::size_t size = npy_type_size(header_.type), column = static_cast<std::size_t>(rows()) * size;
  const auto row = static_cast<std::size_t>(row_elements()), wanted = static_cast<std::size_t>(count);
  const std::size_t at_once = std::max<std::size_t>(piece_bytes / column, 1);
  std::vector<std::byte> piece;
  std::vector<std::int64_t> index(header_.shape.size(), 0);  // of the column, the second axis fastest
  for (std::size_t begin = 0; begin < row; begin += at_once) {
    const std::size_t columns = std::min(at_once, row - begin);
    piece.resize((columns - 1) * column + wanted * size);
    read_exactly(header_.data_offset + begin * column + static_cast<std::size_t>(first) * size, piece);
    for (std::size_t c = 0; c < columns; ++c) {
      std::int64_t place = 0;  // in C order
      for (std::size_t axis = 1; axis < index.size(); ++axis) place = place * header_.shape[axis] + index[axis];
      for (std::size_t r = 0; r < wanted; ++r) {
        out[r * row + static_cast<std::size_t>(place)] = value_at(header_.type, piece.data() + c * column + r * size);
      }
      for (std::size_t axis = 1; axis < index.size() && ++index[axis] == header_.shape[axis]; ++axis) index[axis] = 0;
    }
  }
}

std::string npy_header_bytes(std::int64_t rows, std::span<const std::int64_t> row_shape) {
  const auto dictionary = [&](std::int64_t n) {
    std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(n) + ",";
    for (const std::int64_t axis : row_shape) text += " " + std::to_string(axis) + ",";
    if (!row_shape.empty()) text.pop_back();
    return text + "), }";
  };
  // Room for any number of rows, so that the header can be rewritten in place; data starts at a multiple of 64.
  const std::size_t length = (10 + dictionary(INT64_MAX).size() + 1 + 63) / 64 * 64 - 10;
  std::string text = dictionary(rows);
  text.append(length - 1 - text.size(), ' ');
  text += '\n';
  std::string out(magic);
  out += {'\x01', '\x00', static_cast<char>(length & 0xFF), static_cast<char>(length >> 8)};
  return out + text;
}

NpyWriter::NpyWriter(const std::string& path) : file_(path) {
  // The number of rows stands at the start of the file and is known at the end.
  if (!file_.seekable()) throw OutputError("cannot write " + path + ": an array needs a regular file, no pipe");
}

bool NpyWriter::fits(std::span<const std::int64_t> row_shape) const {
  return rows_ == 0 || std::equal(row_shape.begin(), row_shape.end(), row_shape_.begin(), row_shape_.end());
}

void NpyWriter::append(std::span<const float> rows, std::span<const std::int64_t> row_shape) {
  std::int64_t row_elements = 1;
  for (const std::int64_t axis : row_shape) row_elements *= axis;
  const auto count = static_cast<std::int64_t>(rows.size());
  if (count == 0 || row_elements <= 0 || count % row_elements != 0) {
    throw Error(ErrorCode::internal, "an incomplete row", file_.path());
  }
  if (rows_ == 0) {
    row_shape_.assign(row_shape.begin(), row_shape.end());
    const std::string header = npy_header_bytes(0, row_shape_);
    file_.write(std::as_bytes(std::span(header)));
  } else if (!fits(row_shape)) {
    throw Error(ErrorCode::internal, "rows of different shapes", file_.path());
  }
  rows_ += count / row_elements;
  file_.write(std::as_bytes(rows));
}

void NpyWriter::commit() {
  if (rows_ == 0) return;
  const std::string header = npy_header_bytes(rows_, row_shape_);
  file_.rewrite_start(std::as_bytes(std::span(header)));
  file_.commit();
}

}  // namespace resnet::tools
