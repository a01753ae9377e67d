#include "tools/convert/onnx_bytes.hpp"

#include <cstring>

namespace resnet::test::onnx {
namespace {

template <class T>
std::string packed(const Dims& dims, const std::vector<T>& values) {
  std::int64_t count = 1;
  for (const std::int64_t size : dims) count *= size;
  std::string bytes;
  for (std::int64_t i = 0; i < count && !values.empty(); ++i) {
    const T element = values[static_cast<std::size_t>(i) % values.size()];
    bytes.append(reinterpret_cast<const char*>(&element), sizeof element);
  }
  return bytes;
}

template <class T>
std::string any_tensor(std::string_view name, const Dims& dims, const std::vector<T>& values, std::int64_t type) {
  std::string bytes;
  for (const std::int64_t size : dims) bytes += number(1, size);
  return bytes + number(2, type) + field(8, name) + field(9, packed(dims, values));
}

}  // namespace

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}
std::string field(int number, std::string_view bytes) {
  return varint(static_cast<std::uint64_t>(number) << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
std::string number(int field, std::int64_t value) {
  return varint(static_cast<std::uint64_t>(field) << 3) + varint(static_cast<std::uint64_t>(value));
}

std::string tensor(std::string_view name, const Dims& dims, const std::vector<float>& values) {
  return any_tensor(name, dims, values, 1);
}
std::string tensor(std::string_view name, const Dims& dims, const std::vector<std::int64_t>& values) {
  return any_tensor(name, dims, values, 7);
}

std::string attribute(std::string_view name, std::int64_t value) {
  return field(1, name) + number(3, value) + number(20, 2);
}
std::string attribute(std::string_view name, float value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return field(1, name) + varint(2 << 3 | 5) + bytes + number(20, 1);
}
std::string attribute(std::string_view name, const char* value) {
  return field(1, name) + field(4, value) + number(20, 3);
}
std::string attribute(std::string_view name, const Dims& values) {
  std::string bytes = field(1, name);
  for (const std::int64_t value : values) bytes += number(8, value);
  return bytes + number(20, 7);
}
std::string tensor_attribute(std::string_view name, std::string_view tensor) {
  return field(1, name) + field(5, tensor) + number(20, 4);
}

std::string node(std::string_view op, const Names& inputs, const Names& outputs,
                 const std::vector<std::string>& attributes) {
  std::string bytes;
  for (const std::string& input : inputs) bytes += field(1, input);
  for (const std::string& output : outputs) bytes += field(2, output);
  bytes += field(3, outputs.empty() ? std::string("node") : outputs[0]) + field(4, op);
  for (const std::string& attribute : attributes) bytes += field(5, attribute);
  return bytes;
}

std::string value(std::string_view name, const Dims& dims, int type) {
  std::string shape;
  for (const std::int64_t size : dims) shape += field(1, size < 0 ? field(2, "n") : number(1, size));
  return field(1, name) + field(2, field(1, number(1, type) + field(2, shape)));
}

std::string ModelBytes::bytes() const {
  std::string graph;
  for (const std::string& node : nodes) graph += field(1, node);
  graph += field(2, "net");
  for (const std::string& tensor : initializers) graph += field(5, tensor);
  for (const std::string& input : inputs) graph += field(11, input);
  for (const std::string& output : outputs) graph += field(12, output);
  return number(1, ir_version) + field(2, "test") + field(7, graph + graph_extra) + field(8, number(2, opset)) +
         model_extra;
}

}  // namespace resnet::test::onnx
