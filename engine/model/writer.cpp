#include <cstring>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "base/json.hpp"
#include "model/graph_json.hpp"
#include "model/model_file.hpp"
#include "model/text.hpp"

namespace resnet {
namespace {

constexpr std::size_t length_bytes = 8, data_alignment = 64;

std::string_view dtype_name(DType dtype, const std::string& tensor) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    default:
      break;
  }
  fail(ErrorCode::bad_dtype, "weights are f32, f16 or bf16, not " + std::string(to_string(dtype)),
       "tensor " + quoted(tensor));
}

void check_size(const TensorToWrite& tensor) {
  const std::string where = "tensor " + quoted(tensor.name);
  std::uint64_t bytes = size_of(tensor.dtype);
  for (const std::int64_t size : tensor.shape) bytes = checked_mul(bytes, static_cast<std::uint64_t>(size), where);
  if (bytes != tensor.bytes.size()) {
    fail(ErrorCode::invalid_argument,
         std::to_string(tensor.bytes.size()) + " bytes given, shape and element type need " + std::to_string(bytes),
         where);
  }
}

std::string checksums(const std::vector<TensorToWrite>& tensors) {
  Json::Object sums;
  for (const TensorToWrite& tensor : tensors) {
    char hex[9];
    std::snprintf(hex, sizeof hex, "%08x", crc32c(0, tensor.bytes));
    sums.emplace_back(tensor.name, hex);
  }
  return Json(std::move(sums)).dump();
}

Json metadata(const ModelToWrite& model) {
  Json::Object json{{"resnet_engine.version", std::to_string(format_version)},
                    {"resnet_engine.graph", layers_to_json(model.layers, model.output)}};
  if (!model.preprocess_json.empty()) json.emplace_back("resnet_engine.preprocess", model.preprocess_json);
  if (!model.labels.empty()) {
    json.emplace_back("resnet_engine.labels", Json(Json::Array(model.labels.begin(), model.labels.end())).dump());
  }
  if (!model.provenance.empty()) {
    json.emplace_back("resnet_engine.provenance",
                      Json(Json::Object(model.provenance.begin(), model.provenance.end())).dump());
  }
  json.emplace_back("resnet_engine.crc32c", checksums(model.tensors));
  return json;
}

std::string header_text(const ModelToWrite& model) {
  Json::Object header{{"__metadata__", metadata(model)}};
  std::size_t begin = 0;
  for (const TensorToWrite& tensor : model.tensors) {
    check_size(tensor);
    const std::size_t end = begin + tensor.bytes.size();
    header.emplace_back(tensor.name, Json::Object{{"dtype", dtype_name(tensor.dtype, tensor.name)},
                                                  {"shape", Json::Array(tensor.shape.begin(), tensor.shape.end())},
                                                  {"data_offsets", Json::Array{begin, end}}});
    begin = end;
  }
  std::string text = Json(std::move(header)).dump();
  text.resize(
      static_cast<std::size_t>(round_up(static_cast<std::int64_t>(length_bytes + text.size()), data_alignment)) -
          length_bytes,
      ' ');
  return text;
}

}  // namespace

std::vector<std::byte> serialise_header(const ModelToWrite& model) {
  const std::string text = header_text(model);
  const std::uint64_t length = text.size();
  std::vector<std::byte> header(length_bytes + text.size());
  std::memcpy(header.data(), &length, sizeof length);
  std::memcpy(header.data() + length_bytes, text.data(), text.size());
  std::size_t total = header.size();
  for (const TensorToWrite& tensor : model.tensors) total += tensor.bytes.size();
  (void)parse_header(header, total, "new model");
  return header;
}

std::vector<std::byte> serialise(const ModelToWrite& model) {
  std::vector<std::byte> file = serialise_header(model);
  std::size_t total = file.size();
  for (const TensorToWrite& tensor : model.tensors) total += tensor.bytes.size();
  file.reserve(total);
  for (const TensorToWrite& tensor : model.tensors) file.insert(file.end(), tensor.bytes.begin(), tensor.bytes.end());
  return file;
}

}  // namespace resnet
