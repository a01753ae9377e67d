#include "model/header.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "base/json.hpp"
#include "model/graph_json.hpp"
#include "model/model_file.hpp"
#include "model/text.hpp"

namespace resnet {
namespace {

constexpr std::uint64_t length_bytes = 8;
constexpr std::string_view not_a_model =
    "this is no .rne model, or it is damaged: convert the weights with resnet_convert";

constexpr std::string_view key_version = "resnet_engine.version", key_graph = "resnet_engine.graph",
                           key_preprocess = "resnet_engine.preprocess", key_labels = "resnet_engine.labels",
                           key_provenance = "resnet_engine.provenance", key_ranges = "resnet_engine.ranges",
                           key_crc = "resnet_engine.crc32c", own_prefix = "resnet_engine.";

using Metadata = std::map<std::string, std::string>;

Json parse_document(std::string_view text, const std::string& where) {
  return parse_json(text, where, {max_json_values, max_json_depth});
}

/// The header without its padding; starts with '{' and ends with '}'.
std::string_view header_text(std::span<const std::byte> prefix, std::uint64_t length, const std::string& where) {
  std::string_view text(reinterpret_cast<const char*>(prefix.data()) + length_bytes, length);
  if (text.front() != '{') fail(ErrorCode::bad_header, "byte 8 is not \"{\"", where, std::string(not_a_model));
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  if (text.back() != '}') {
    fail(ErrorCode::bad_header,
         "byte " + std::to_string(length_bytes + text.size() - 1) + " is not the header's closing \"}\"", where);
  }
  return text;
}

Metadata read_metadata(const Json& header, const std::string& where) {
  const std::string in_metadata = where + ": __metadata__";
  const Json* json = header.find("__metadata__");
  if (json == nullptr) {
    fail(ErrorCode::bad_header, "\"__metadata__\" is missing", where,
         "a plain safetensors file has no layer list: convert it with resnet_convert");
  }
  Metadata metadata;
  for (const auto& [key, value] : json->as_object(in_metadata)) {
    metadata.emplace(key, value.as_string(place(in_metadata, "key", key)));
  }
  return metadata;
}

const std::string& required(const Metadata& metadata, std::string_view key, const std::string& where) {
  const auto found = metadata.find(std::string(key));
  if (found == metadata.end()) {
    fail(ErrorCode::bad_header, quoted(key) + " is missing from __metadata__", where, std::string(not_a_model));
  }
  return found->second;
}

int read_version(const Metadata& metadata, const std::string& where) {
  const std::string& text = required(metadata, key_version, where);
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos && text[0] != '0';
  if (!digits)
    fail(ErrorCode::bad_header, quoted(text) + " is no format version", where + ": " + std::string(key_version));
  if (text.size() > 9 || std::stoi(text) > format_version) {
    fail(ErrorCode::future_version,
         "the file has format version " + text.substr(0, 20) + ", this library reads up to " +
             std::to_string(format_version),
         where, "install a newer resnet-engine");
  }
  return std::stoi(text);
}

void refuse_unknown_keys(const Metadata& metadata, const std::string& where) {
  for (const auto& [key, value] : metadata) {
    if (!key.starts_with(own_prefix)) continue;
    if (key != key_version && key != key_graph && key != key_preprocess && key != key_labels && key != key_provenance &&
        key != key_ranges && key != key_crc) {
      fail(ErrorCode::bad_header, "unknown key " + quoted(key) + " in __metadata__", where);
    }
  }
}

DType read_dtype(const Json& json, const std::string& where) {
  const std::string& name = json.as_string(where);
  if (name == "F32") return DType::f32;
  if (name == "F16") return DType::f16;
  if (name == "BF16") return DType::bf16;
  fail(ErrorCode::bad_dtype, "element type " + quoted(name) + "; weights are F32, F16 or BF16", where);
}

TensorShape read_shape(const Json& json, const std::string& where) {
  TensorShape shape;
  const Json::Array& sizes = json.as_array(where);
  if (sizes.empty()) fail(ErrorCode::tensor_shape, "the shape is empty; tensors have 1 to 8 dimensions", where);
  if (sizes.size() > max_tensor_rank) {
    fail(ErrorCode::limit_exceeded, std::to_string(sizes.size()) + " dimensions, at most 8", where);
  }
  for (const Json& size : sizes) {
    shape.push_back(size.as_int(where));
    if (shape.back() <= 0) {
      fail(ErrorCode::tensor_shape,
           "dimension " + std::to_string(shape.size() - 1) + " is " + std::to_string(shape.back()) +
               ", must be positive",
           where);
    }
  }
  return shape;
}

std::uint64_t tensor_bytes(const StoredTensor& tensor, const std::string& where) {
  std::int64_t elements = 1;
  for (const std::int64_t size : tensor.shape) elements = checked_mul(elements, size, where);
  if (elements > max_tensor_elements) {
    fail(ErrorCode::limit_exceeded,
         std::to_string(elements) + " values, at most " + std::to_string(max_tensor_elements), where);
  }
  return static_cast<std::uint64_t>(elements) * size_of(tensor.dtype);
}

/// One entry of the header; `data_start` is the file offset that the stored offsets count from.
StoredTensor read_tensor(const std::string& name, const Json& json, std::uint64_t data_start, const std::string& file) {
  const std::string where = place(file, "tensor", name);
  check_name(name, where);
  if (name.empty()) fail(ErrorCode::bad_header, "the name is empty", where);
  for (const auto& [key, value] : json.as_object(where)) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      fail(ErrorCode::bad_header, "unknown key " + quoted(key), where);
    }
  }
  StoredTensor tensor;
  tensor.name = name;
  tensor.dtype = read_dtype(json.at("dtype", where), where);
  tensor.shape = read_shape(json.at("shape", where), where);
  const Json::Array& offsets = json.at("data_offsets", where).as_array(where);
  if (offsets.size() != 2) fail(ErrorCode::bad_header, "data_offsets must be two integers", where);
  const std::int64_t begin = offsets[0].as_int(where), end = offsets[1].as_int(where);
  const std::string range = "data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) + "]";
  if (begin < 0 || end < begin) fail(ErrorCode::bad_offsets, range + " are no range", where);
  tensor.bytes = tensor_bytes(tensor, where);
  if (static_cast<std::uint64_t>(end - begin) != tensor.bytes) {
    fail(ErrorCode::bad_offsets,
         range + " hold " + std::to_string(end - begin) + " bytes, but shape and element type need " +
             std::to_string(tensor.bytes),
         where);
  }
  tensor.offset = checked_add(data_start, static_cast<std::uint64_t>(begin), where);
  return tensor;
}

/// The data is one run of tensors without overlap or hole that ends where the file ends.
void check_extent(const std::vector<StoredTensor>& tensors, std::uint64_t data_start, std::uint64_t file_bytes,
                  const std::string& file) {
  std::uint64_t end = data_start;
  const StoredTensor* previous = nullptr;
  for (const StoredTensor& tensor : tensors) {
    const std::string where = place(file, "tensor", tensor.name);
    if (tensor.offset < end) {
      fail(ErrorCode::bad_offsets,
           "starts at byte " + std::to_string(tensor.offset) + ", inside tensor " + quoted(previous->name), where);
    }
    if (tensor.offset > end) {
      fail(ErrorCode::bad_offsets,
           "starts at byte " + std::to_string(tensor.offset) + " and leaves a hole from byte " + std::to_string(end),
           where);
    }
    end = checked_add(tensor.offset, tensor.bytes, where);
    if (end > file_bytes) {
      fail(ErrorCode::truncated,
           "ends at byte " + std::to_string(end) + ", but the file has " + std::to_string(file_bytes), where,
           "copy or download the file again");
    }
    previous = &tensor;
  }
  if (end < file_bytes) {
    fail(ErrorCode::trailing_bytes,
         std::to_string(file_bytes - end) + " bytes follow the last tensor, which ends at byte " + std::to_string(end),
         file);
  }
}

std::vector<StoredTensor> read_tensors(const Json& header, std::uint64_t data_start, std::uint64_t file_bytes,
                                       const std::string& where) {
  std::vector<StoredTensor> tensors;
  for (const auto& [name, json] : header.as_object(where)) {
    if (name != "__metadata__") tensors.push_back(read_tensor(name, json, data_start, where));
  }
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const StoredTensor& a, const StoredTensor& b) { return a.offset < b.offset; });
  check_extent(tensors, data_start, file_bytes, where);
  return tensors;
}

std::uint32_t parse_hex8(const std::string& text, const std::string& where) {
  if (text.size() != 8 || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    fail(ErrorCode::bad_header, quoted(text) + " is no checksum of 8 lower-case hex digits", where);
  }
  return static_cast<std::uint32_t>(std::stoul(text, nullptr, 16));
}

void read_checksums(const Metadata& metadata, std::vector<StoredTensor>& tensors, const std::string& file) {
  const std::string where = file + ": " + std::string(key_crc);
  const Json json = parse_document(required(metadata, key_crc, file), where);
  std::unordered_map<std::string_view, std::uint32_t> sums;
  for (const auto& [name, value] : json.as_object(where)) {
    const std::string at = place(where, "tensor", name);
    sums.emplace(name, parse_hex8(value.as_string(at), at));
  }
  for (StoredTensor& tensor : tensors) {
    const auto found = sums.find(tensor.name);
    if (found == sums.end()) fail(ErrorCode::bad_header, "has no checksum", place(where, "tensor", tensor.name));
    tensor.crc = found->second;
    sums.erase(found);
  }
  if (!sums.empty()) {
    fail(ErrorCode::bad_header, "is a checksum of a tensor that the file does not hold",
         place(where, "tensor", sums.begin()->first));
  }
}

void read_texts(ModelHeader& header, const std::string& file) {
  const auto document = [&](std::string_view key, const auto& use) {
    const auto found = header.metadata.find(std::string(key));
    if (found == header.metadata.end()) return;
    const std::string where = file + ": " + std::string(key);
    use(parse_document(found->second, where), where);
  };
  document(key_labels, [&](const Json& json, const std::string& where) {
    for (const Json& label : json.as_array(where)) header.labels.push_back(label.as_string(where));
  });
  document(key_provenance, [&](const Json& json, const std::string& where) {
    for (const auto& [key, value] : json.as_object(where)) {
      header.provenance.emplace(key, value.as_string(place(where, "key", key)));
    }
  });
  document(key_preprocess, [&](const Json& json, const std::string& where) {
    (void)json.as_object(where);  // its fields are the image layer's business
    header.preprocess_json = header.metadata.at(std::string(key_preprocess));
  });
  document(key_ranges, [](const Json& json, const std::string& where) { (void)json.as_object(where); });
}

/// build_graph() and infer_shapes() know layers, not files.
template <class Work>
auto with_file_name(const std::string& file, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    throw Error(error.code(), error.message(), error.where().empty() ? file : file + ": " + error.where(),
                error.next());
  }
}

void read_graph(ModelHeader& header, const std::string& file) {
  LayerList list = parse_layers(required(header.metadata, key_graph, file), file + ": " + std::string(key_graph));
  TensorTable table;
  for (const StoredTensor& tensor : header.tensors) table.emplace(tensor.name, TensorInfo{tensor.dtype, tensor.shape});
  header.graph =
      with_file_name(file, [&] { return build_graph(std::move(list.layers), list.output, std::move(table)); });
}

void check_labels(const ModelHeader& header, const std::string& file) {
  if (header.labels.empty()) return;
  const Graph& graph = header.graph;
  const Dims input = graph.input_dims();
  const Dims output = with_file_name(
      file, [&] { return infer_shapes(graph, 1, input.h, input.w)[static_cast<std::size_t>(graph.output)]; });
  const std::int64_t classes = output.h * output.w * output.c;
  if (static_cast<std::int64_t>(header.labels.size()) != classes) {
    fail(ErrorCode::bad_header,
         std::to_string(header.labels.size()) + " labels for " + std::to_string(classes) + " outputs",
         file + ": " + std::string(key_labels));
  }
}

}  // namespace

std::uint64_t header_length(std::span<const std::byte> first_bytes, std::uint64_t file_bytes, std::string_view where) {
  if (file_bytes < length_bytes) {
    fail(ErrorCode::truncated, "the file has " + std::to_string(file_bytes) + " bytes, too few for a header length",
         where, std::string(not_a_model));
  }
  ensure(first_bytes.size() >= length_bytes, "the header's length was not read");
  std::uint64_t length;
  std::memcpy(&length, first_bytes.data(), sizeof length);
  if (length > max_header_bytes) {
    fail(ErrorCode::limit_exceeded,
         "bytes 0 to 7 give a header of " + std::to_string(length) + " bytes, at most " +
             std::to_string(max_header_bytes),
         where, std::string(not_a_model));
  }
  if (length < 2) {
    fail(ErrorCode::bad_header, "bytes 0 to 7 give a header of " + std::to_string(length) + " bytes", where,
         std::string(not_a_model));
  }
  if (length > file_bytes - length_bytes) {
    fail(ErrorCode::truncated,
         "the header ends at byte " + std::to_string(length_bytes + length) + ", but the file has " +
             std::to_string(file_bytes),
         where, "copy or download the file again");
  }
  return length;
}

ModelHeader parse_header(std::span<const std::byte> prefix, std::uint64_t file_bytes, std::string_view where) {
  const std::string file(where);
  const std::uint64_t length = header_length(prefix, file_bytes, where);
  const std::uint64_t data_start = length_bytes + length;
  ensure(prefix.size() >= data_start, "the header was not read");
  ModelHeader header;
  {
    const Json json = parse_document(header_text(prefix, length, file), file + ": header");
    header.metadata = read_metadata(json, file);
    // The version comes before everything that a newer one may change.
    header.version = read_version(header.metadata, file);
    refuse_unknown_keys(header.metadata, file);
    header.tensors = read_tensors(json, data_start, file_bytes, file);
  }
  read_checksums(header.metadata, header.tensors, file);
  read_texts(header, file);
  read_graph(header, file);
  check_labels(header, file);
  return header;
}

}  // namespace resnet
