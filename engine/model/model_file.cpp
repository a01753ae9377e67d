#include "model/model_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>

#include "base/check.hpp"
#include "base/file_descriptor.hpp"
#include "model/header.hpp"
#include "model/text.hpp"
#include "model/values.hpp"

namespace resnet {
namespace {

/// Bytes read and checked at once: with the destination it stays within the smallest L2 cache in use.
constexpr std::size_t piece_bytes = std::size_t{128} << 10;

/// Everything but the access to the bytes.
class ModelBase : public ModelFile {
 public:
  const ModelHeader& header() const override { return header_; }
  const std::string& path() const override { return path_; }
  const StoredTensor& tensor(std::string_view name) const override {
    const auto found = index_.find(name);
    if (found == index_.end())
      fail(ErrorCode::missing_tensor, "the file does not hold it", place(path_, "tensor", name));
    return *found->second;
  }
  void read_f32(const StoredTensor& tensor, std::span<float> out) const override;

 protected:
  explicit ModelBase(std::string path) : path_(std::move(path)) {}
  void set_header(ModelHeader header) {
    header_ = std::move(header);
    for (const StoredTensor& stored : header_.tensors) index_.emplace(stored.name, &stored);
  }

  /// Copies bytes of the file. @throws Error io, file_changed
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;
  /// @throws Error file_changed
  virtual void verify_unchanged() const = 0;

 private:
  std::size_t read_piece(const StoredTensor& tensor, std::uint64_t offset, std::span<float> out,
                         std::span<std::byte> scratch, bool flush, std::uint32_t& crc) const;
  [[noreturn]] void report_nonfinite(const StoredTensor& tensor, std::uint64_t element) const;

  std::string path_;
  ModelHeader header_;
  std::unordered_map<std::string_view, const StoredTensor*> index_;
};

/// Index of the first bad value, out.size() when there is none.
std::size_t ModelBase::read_piece(const StoredTensor& tensor, std::uint64_t offset, std::span<float> out,
                                  std::span<std::byte> scratch, bool flush, std::uint32_t& crc) const {
  if (tensor.dtype == DType::f32) {  // straight into the caller's memory
    const std::span<std::byte> bytes = std::as_writable_bytes(out);
    read(offset, bytes);
    crc = crc32c(crc, bytes);
    return check_f32(out, flush);
  }
  const std::span<std::byte> bytes = scratch.first(out.size() * sizeof(std::uint16_t));
  read(offset, bytes);
  crc = crc32c(crc, bytes);
  const std::span<const std::uint16_t> halves(reinterpret_cast<const std::uint16_t*>(bytes.data()), out.size());
  return tensor.dtype == DType::f16 ? convert_f16(halves, out.data()) : convert_bf16(halves, out.data(), flush);
}

void ModelBase::report_nonfinite(const StoredTensor& tensor, std::uint64_t element) const {
  fail(ErrorCode::nonfinite_weight,
       "value " + std::to_string(element) + " of " + std::to_string(tensor.bytes / size_of(tensor.dtype)) +
           " is NaN or infinite (byte " + std::to_string(tensor.offset + element * size_of(tensor.dtype)) + ")",
       place(path_, "tensor", tensor.name), "the source weights are damaged or the training diverged");
}

void ModelBase::read_f32(const StoredTensor& tensor, std::span<float> out) const {
  const std::size_t element_bytes = size_of(tensor.dtype);
  const std::size_t count = tensor.bytes / element_bytes;
  ensure(out.size() == count, "the destination does not have the tensor's size");
  const bool flush = tensor.shape.size() >= 2;
  const std::size_t step = piece_bytes / sizeof(float);
  std::vector<std::byte> scratch(tensor.dtype == DType::f32 ? 0 : std::min(step, count) * element_bytes);
  std::uint32_t crc = 0;
  std::size_t bad = count;
  for (std::size_t start = 0; start < count; start += step) {
    const std::span<float> piece = out.subspan(start, std::min(step, count - start));
    const std::size_t first_bad = read_piece(tensor, tensor.offset + start * element_bytes, piece, scratch, flush, crc);
    if (first_bad < piece.size()) bad = std::min(bad, start + first_bad);
  }
  verify_unchanged();
  if (crc != tensor.crc) {
    char sums[64];
    std::snprintf(sums, sizeof sums, "CRC32C is %08x, must be %08x", crc, tensor.crc);
    fail(ErrorCode::checksum, sums, place(path_, "tensor", tensor.name), "copy or download the file again");
  }
  if (bad < count) report_nonfinite(tensor, bad);
}

/// A file on disk.
class FileModel final : public ModelBase {
 public:
  explicit FileModel(const std::string& path) : ModelBase(path) {
    // O_NONBLOCK: opening a FIFO that nobody writes to must not wait.
    fd_ = FileDescriptor(
        retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
    if (!fd_) fail(ErrorCode::io, "cannot open: " + errno_text(errno), path);
    at_open_ = status();
    if (!S_ISREG(at_open_.st_mode))
      fail(ErrorCode::io, S_ISDIR(at_open_.st_mode) ? "is a directory" : "is no regular file", path);
    set_header(read_header());
    verify_unchanged();
  }

 protected:
  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    while (!out.empty()) {
      const ssize_t got =
          retry_interrupted([&] { return ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset)); });
      if (got < 0)
        fail(ErrorCode::io, "cannot read at byte " + std::to_string(offset) + ": " + errno_text(errno), path());
      if (got == 0) {
        fail(ErrorCode::file_changed,
             "the file shrank to " + std::to_string(offset) + " bytes or less while it was read", path(),
             "do not write to a model in use; replace it by a rename");
      }
      offset += static_cast<std::uint64_t>(got);
      out = out.subspan(static_cast<std::size_t>(got));
    }
  }

  void verify_unchanged() const override {
    const struct stat now = status();
    // Neither ctime nor the link count: a file replaced by a rename changes both and keeps its content.
    if (now.st_size != at_open_.st_size || now.st_mtim.tv_sec != at_open_.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != at_open_.st_mtim.tv_nsec) {
      fail(ErrorCode::file_changed, "the file changed while it was read", path(),
           "do not write to a model in use; replace it by a rename");
    }
  }

 private:
  struct stat status() const {
    struct stat result {};
    if (::fstat(fd_.get(), &result) != 0) fail(ErrorCode::io, "cannot read the status: " + errno_text(errno), path());
    return result;
  }

  ModelHeader read_header() const {
    const auto file_bytes = static_cast<std::uint64_t>(at_open_.st_size);
    std::vector<std::byte> prefix(std::min<std::uint64_t>(file_bytes, 8));
    read(0, prefix);
    const std::uint64_t length = header_length(prefix, file_bytes, path());
    prefix.resize(8 + length);
    read(8, std::span(prefix).subspan(8));
    return parse_header(prefix, file_bytes, path());
  }

  FileDescriptor fd_;
  struct stat at_open_ {};
};

/// A file held in memory.
class MemoryModel final : public ModelBase {
 public:
  MemoryModel(std::vector<std::byte> bytes, std::string name) : ModelBase(std::move(name)), bytes_(std::move(bytes)) {
    set_header(parse_header(bytes_, bytes_.size(), path()));
  }

 protected:
  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }
  void verify_unchanged() const override {}

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

std::shared_ptr<const ModelFile> ModelFile::open(const std::string& path) { return std::make_shared<FileModel>(path); }

std::shared_ptr<const ModelFile> ModelFile::from_memory(std::vector<std::byte> bytes, std::string name) {
  return std::make_shared<MemoryModel>(std::move(bytes), std::move(name));
}

}  // namespace resnet
