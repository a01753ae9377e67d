#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/source_file.hpp"
#include "convert/tensors.hpp"

/// An ONNX file as plain records: what the rest of the importer works on, free of protobuf. All names are UTF-8.
namespace resnet::convert::onnx {

/// Where the values of tensors lie: in the file, in a file beside it, or in memory where the importer made them.
class Storages final : public StorageReader {
 public:
  /// @param file outlives this object
  std::size_t add(const SourceFile& file, std::uint64_t offset, std::uint64_t bytes);
  std::size_t add(std::vector<std::byte> bytes);
  std::uint64_t bytes(std::size_t storage) const { return entries_.at(storage).bytes; }
  std::vector<std::byte> read(std::size_t storage) const override;

 private:
  struct Entry {
    const SourceFile* file = nullptr;
    std::uint64_t offset = 0, bytes = 0;
    std::vector<std::byte> owned;
  };
  std::vector<Entry> entries_;
};

/// A tensor of the file: `view.name` is its name, `view.type` is `other` for types that cannot be weights.
struct Tensor {
  SourceTensor view;
  std::string type;  ///< ONNX's word for it, for messages: "FLOAT16"
};

enum class AttributeKind : std::uint8_t { number, integer, text, numbers, integers, tensor, other };

struct Attribute {
  AttributeKind kind = AttributeKind::other;
  double number = 0;
  std::int64_t integer = 0;
  std::string text;
  std::vector<double> numbers;
  std::vector<std::int64_t> integers;
  Tensor tensor;
  std::string type;  ///< ONNX's word for it: "GRAPH", "SPARSE_TENSOR"
};

struct Node {
  std::string name, op, domain;
  std::vector<std::string> inputs, outputs;  ///< names of values; empty where an optional one is left out
  std::map<std::string, Attribute, std::less<>> attributes;
};

/// A declared input or output. A dimension is -1 where the file gives a name or nothing.
struct ValueInfo {
  std::string name, type;
  bool has_shape = false;
  std::vector<std::int64_t> dims;
};

struct Model {
  std::string graph_name, producer;
  std::int64_t opset = 0;  ///< of the default domain
  std::vector<Node> nodes;
  std::vector<Tensor> initializers;
  std::vector<ValueInfo> inputs, outputs;
  std::shared_ptr<Storages> storages = std::make_shared<Storages>();
};

/// Whether bytes look like a serialised ModelProto. There is no magic: tags and types of the first fields decide.
bool sniff(std::span<const std::byte> head, std::uint64_t file_bytes);

/// Parses the file. Values of tensors stay in it: only their ranges are kept.
/// @throws Error import_failed, truncated, limit_exceeded
Model parse(const SourceFiles& files);

}  // namespace resnet::convert::onnx
