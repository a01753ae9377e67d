#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"

namespace resnet {

inline constexpr int format_version = 1;
inline constexpr std::uint64_t max_header_bytes = 4u << 20;
inline constexpr std::size_t max_json_values = 200'000;
inline constexpr int max_json_depth = 64;
inline constexpr std::size_t max_layers = 10'000;
inline constexpr std::size_t max_tensor_rank = 8;
inline constexpr std::int64_t max_tensor_elements = std::int64_t{1} << 40;
inline constexpr std::size_t max_name_bytes = 1024;  ///< of a layer or tensor

/// CRC-32C (Castagnoli, reflected 0x82F63B78, initial and final xor 0xFFFFFFFF) of more bytes after `crc` (0 to start).
std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

/// Where a stored tensor lies in the file.
struct StoredTensor {
  std::string name;
  DType dtype = DType::f32;
  TensorShape shape;
  std::uint64_t offset = 0;  ///< from the start of the file
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;  ///< CRC32C
};

/// The header of a `.rne` file, checked against every rule of docs/format.md that needs no tensor data.
struct ModelHeader {
  int version = format_version;
  Graph graph;                                    ///< unoptimised
  std::vector<StoredTensor> tensors;              ///< in file order
  std::map<std::string, std::string> metadata;    ///< all of __metadata__
  std::vector<std::string> labels;                ///< resnet_engine.labels
  std::string preprocess_json;                    ///< resnet_engine.preprocess, empty when absent
  std::map<std::string, std::string> provenance;  ///< resnet_engine.provenance
};

/// Strict reader of the header of a file of `file_bytes` bytes, of which `prefix` holds at least 8 + header length
/// bytes.
/// @throws Error; `where` is the path, completed by layer, tensor or byte offset
ModelHeader parse_header(std::span<const std::byte> prefix, std::uint64_t file_bytes, std::string_view where);

/// An open model file: header parsed, tensors read with pread on demand, never mapped: a file that shrinks while it is
/// read is an Error, no signal. Size and modification time are compared with those at open() after every read. A file
/// replaced by a rename keeps being read from its old content. Thread-safe.
class ModelFile {
 public:
  /// Regular files only; a FIFO or a device is refused without waiting for it.
  /// @throws Error io, file_changed and everything that parse_header throws
  static std::shared_ptr<const ModelFile> open(const std::string& path);
  /// A model held in memory (a converter's output); same checks.
  static std::shared_ptr<const ModelFile> from_memory(std::vector<std::byte> bytes, std::string name);

  virtual ~ModelFile() = default;
  virtual const ModelHeader& header() const = 0;
  virtual const std::string& path() const = 0;
  /// The stored tensor. @throws Error missing_tensor
  virtual const StoredTensor& tensor(std::string_view name) const = 0;

  /// Reads a tensor into `out` (shape product values) as f32, in pieces that are checked while they lie in the cache:
  /// checksum, finite test, conversion. Denormal values of tensors with two or more dimensions (conv and dense weights)
  /// become zeros of their sign; vectors (biases, batch-norm parameters) keep theirs, since a denormal variance counts.
  /// A damaged tensor is reported as such even where the damage made a NaN. On error `out` holds rubbish.
  /// @throws Error io, file_changed, checksum, nonfinite_weight with tensor name and first bad element
  virtual void read_f32(const StoredTensor& tensor, std::span<float> out) const = 0;
};

/// A model to be written. Tensors are given in the order in which they shall lie in the file.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::f32;
  TensorShape shape;
  std::span<const std::byte> bytes;  ///< little endian, row-major; must stay valid until the write returns
};
struct ModelToWrite {
  std::vector<LayerSpec> layers;
  std::string output;
  std::vector<TensorToWrite> tensors;
  std::vector<std::string> labels;
  std::string preprocess_json;
  std::map<std::string, std::string> provenance;
};

/// What stands in a `.rne` file before the tensors' bytes, which follow in their order without gaps. Validates by
/// parsing what it wrote; weight values are not looked at.
/// @throws Error invalid_argument (bytes that do not fit a shape) and everything that parse_header throws
std::vector<std::byte> serialise_header(const ModelToWrite& model);
/// The bytes of a `.rne` file; the same model gives the same bytes. @throws as serialise_header() does
std::vector<std::byte> serialise(const ModelToWrite& model);

}  // namespace resnet
