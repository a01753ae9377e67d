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

/// CRC-32C (Castagnoli, reflected 0x82F63B78, initial and final xor 0xFFFFFFFF) of more bytes after `crc` (0 to start).
std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

/// Where a stored tensor lies in the file.
struct StoredTensor {
  std::string name;
  DType dtype = DType::f32;
  TensorShape shape;
  std::uint64_t offset = 0;  ///< from the start of the file
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;     ///< CRC32C
};

/// The header of a `.rne` file, checked against every rule of docs/format.md that needs no tensor data.
struct ModelHeader {
  int version = format_version;
  Graph graph;                                        ///< unoptimised
  std::vector<StoredTensor> tensors;                  ///< in file order
  std::map<std::string, std::string> metadata;        ///< all of __metadata__
  std::vector<std::string> labels;                    ///< resnet_engine.labels
  std::string preprocess_json;                        ///< resnet_engine.preprocess, empty when absent
  std::map<std::string, std::string> provenance;      ///< resnet_engine.provenance
};

/// Strict reader of the header of a file of `file_bytes` bytes, of which `prefix` holds at least 8 + header length bytes.
/// @throws Error; `where` is the path, completed by layer, tensor or byte offset
ModelHeader parse_header(std::span<const std::byte> prefix, std::uint64_t file_bytes, std::string_view where);

/// An open model file: header parsed, tensors read with pread on demand. Thread-safe.
class ModelFile {
 public:
  /// @throws Error io, file_changed and everything that parse_header throws
  static std::shared_ptr<const ModelFile> open(const std::string& path);
  /// A model held in memory (a converter's output); same checks.
  static std::shared_ptr<const ModelFile> from_memory(std::vector<std::byte> bytes, std::string name);

  virtual ~ModelFile() = default;
  virtual const ModelHeader& header() const = 0;
  virtual const std::string& path() const = 0;
  /// The stored tensor. @throws Error missing_tensor
  virtual const StoredTensor& tensor(std::string_view name) const = 0;

  /// Reads a float tensor into `out` (shape product values) as f32: pieces, checksum, finite test, conversion.
  /// @throws Error io, file_changed, truncated, checksum, nonfinite_weight with tensor name and first bad element
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

/// The bytes of a `.rne` file; the same model gives the same bytes. Validates by parsing what it wrote.
std::vector<std::byte> serialise(const ModelToWrite& model);

/// Writes bytes to a temporary file beside `path`, fsyncs and renames: `path` is either untouched or complete.
/// @throws Error io
void write_file_atomically(const std::string& path, std::span<const std::byte> bytes);

}  // namespace resnet
