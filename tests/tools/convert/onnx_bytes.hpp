#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// ONNX messages written field by field, so that each test can break exactly one of them.
namespace resnet::test::onnx {

std::string varint(std::uint64_t value);
/// A record: tag, length, bytes.
std::string field(int number, std::string_view bytes);
/// A number: tag, varint.
std::string number(int field, std::int64_t value);

using Dims = std::vector<std::int64_t>;
/// A TensorProto with raw_data; the values repeat until the tensor is full.
std::string tensor(std::string_view name, const Dims& dims, const std::vector<float>& values = {0.5f, -0.25f, 1});
std::string tensor(std::string_view name, const Dims& dims, const std::vector<std::int64_t>& values);

std::string attribute(std::string_view name, std::int64_t value);
std::string attribute(std::string_view name, float value);
std::string attribute(std::string_view name, const char* value);
std::string attribute(std::string_view name, const Dims& values);
/// An AttributeProto that holds a tensor.
std::string tensor_attribute(std::string_view name, std::string_view tensor);

using Names = std::vector<std::string>;
/// A NodeProto whose name is its first output's.
std::string node(std::string_view op, const Names& inputs, const Names& outputs,
                 const std::vector<std::string>& attributes = {});
/// A ValueInfoProto of floats; a size of -1 is left open.
std::string value(std::string_view name, const Dims& dims, int type = 1);

/// A model, assembled from its parts.
struct ModelBytes {
  std::int64_t ir_version = 8, opset = 17;
  std::vector<std::string> nodes, initializers;
  std::vector<std::string> inputs = {value("x", {-1, 3, 8, 8})}, outputs = {value("y", {-1, 4})};
  std::string graph_extra, model_extra;  ///< further fields

  ModelBytes& add(std::string_view op, const Names& from, const Names& to,
                  const std::vector<std::string>& attributes = {}) {
    nodes.push_back(node(op, from, to, attributes));
    return *this;
  }
  ModelBytes& weight(std::string bytes) {
    initializers.push_back(std::move(bytes));
    return *this;
  }
  std::string bytes() const;
};

}  // namespace resnet::test::onnx
