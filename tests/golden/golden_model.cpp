#include "golden/golden_model.hpp"

#include <bit>
#include <cstring>
#include <stdexcept>

#include "base/json.hpp"

namespace resnet::testing {
namespace {

std::uint32_t bits_of(float value, DType dtype) {
  if (dtype == DType::f16) return f32_to_f16(value);
  if (dtype == DType::bf16) return f32_to_bf16(value);
  return std::bit_cast<std::uint32_t>(value);
}

}  // namespace

GoldenModel::GoldenModel(DType dtype) : dtype_(dtype) {
  using Ints = std::vector<std::int64_t>;
  layers = {
      {"input",
       "input",
       {},
       {{"channels", std::int64_t{3}}, {"height", std::int64_t{4}}, {"width", std::int64_t{4}}},
       {}},
      {"conv1",
       "conv2d",
       {"input"},
       {{"stride", Ints{1, 1}}, {"padding", std::string("explicit")}, {"pads", Ints{1, 1, 1, 1}}},
       {{"weight", "conv1.weight"}}},
      {"bn1",
       "batch_norm",
       {"conv1"},
       {{"eps", 0.0009765625}},
       {{"gamma", "bn1.weight"}, {"beta", "bn1.bias"}, {"mean", "bn1.running_mean"}, {"var", "bn1.running_var"}}},
      {"relu", "relu", {"bn1"}, {}, {}},
      {"avgpool", "global_avg_pool", {"relu"}, {}, {}},
      {"fc", "dense", {"avgpool"}, {}, {{"weight", "fc.weight"}, {"bias", "fc.bias"}}},
  };
  labels = {"cat", "Hündchen, \"klein\""};
  preprocess_json = R"({"name":"custom","color":"rgb","channel_order":"rgb","resize":"short_edge","size":[5,5],)"
                    R"("filter":"bilinear","crop":[4,4],"scale":0.00392156862745098,)"
                    R"("mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]})";
  provenance = {{"source", "golden"}, {"tool", "make_golden"}};
  add("conv1.weight", {3, 3, 3, 3}, 1, -8, 8);
  add("bn1.weight", {3}, 2, 4, 12);
  add("bn1.bias", {3}, 3, -4, 4);
  add("bn1.running_mean", {3}, 4, -4, 4);
  add("bn1.running_var", {3}, 5, 2, 16);
  add("fc.weight", {2, 3}, 6, -8, 8);
  add("fc.bias", {2}, 7, -8, 8);
}

void GoldenModel::add(const std::string& name, TensorShape shape, int seed, int lowest, int highest) {
  Tensor tensor{name, dtype_, std::move(shape), {}, {}};
  int count = 1;
  for (const std::int64_t size : tensor.shape) count *= static_cast<int>(size);
  for (int i = 0; i < count; ++i) {
    const int step = (i * 7 + seed * 5) % (highest - lowest + 1);
    tensor.values.push_back(static_cast<float>(lowest + step) / 8.0F);
  }
  tensor.bytes.resize(tensor.values.size() * size_of(dtype_));
  tensors_.push_back(std::move(tensor));
  for (std::size_t i = 0; i < tensors_.back().values.size(); ++i)
    set_bits(name, i, bits_of(tensors_.back().values[i], dtype_));
}

void GoldenModel::set_bits(const std::string& name, std::size_t element, std::uint32_t bits) {
  for (Tensor& tensor : tensors_) {
    if (tensor.name != name) continue;
    std::memcpy(tensor.bytes.data() + element * size_of(dtype_), &bits, size_of(dtype_));
    return;
  }
  throw std::logic_error("no tensor " + name);
}

ModelToWrite GoldenModel::to_write() const {
  ModelToWrite model{layers, output, {}, labels, preprocess_json, provenance};
  for (const Tensor& tensor : tensors_)
    model.tensors.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
  return model;
}

std::string GoldenModel::summary_json() const {
  Json::Object tensors;
  for (const Tensor& tensor : tensors_) {
    Json::Array shape(tensor.shape.begin(), tensor.shape.end()), values;
    for (const float value : tensor.values) values.push_back(static_cast<double>(value));
    tensors.emplace_back(tensor.name,
                         Json::Object{{"dtype", to_string(tensor.dtype)}, {"shape", shape}, {"values", values}});
  }
  Json::Object summary{{"version", "1"},
                       {"output", output},
                       {"labels", Json::Array(labels.begin(), labels.end())},
                       {"preprocess", preprocess_json},
                       {"provenance", Json::Object(provenance.begin(), provenance.end())},
                       {"tensors", std::move(tensors)}};
  return Json(std::move(summary)).dump(2) + "\n";
}

}  // namespace resnet::testing
