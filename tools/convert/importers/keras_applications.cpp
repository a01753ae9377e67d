#include "convert/importers/keras_applications.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

namespace resnet::convert {
namespace {

struct Application {
  std::string_view name;
  std::array<int, 4> blocks;
  bool v2;
};
// The deepest first: its file has all layers of the others.
constexpr std::array<Application, 6> applications = {{
    {"keras:resnet152", {3, 8, 36, 3}, false},
    {"keras:resnet101", {3, 4, 23, 3}, false},
    {"keras:resnet50", {3, 4, 6, 3}, false},
    {"keras:resnet152v2", {3, 8, 36, 3}, true},
    {"keras:resnet101v2", {3, 4, 23, 3}, true},
    {"keras:resnet50v2", {3, 4, 6, 3}, true},
}};

constexpr double epsilon = 1.001e-5;

class Builder {
 public:
  KerasModel model;

  std::string add(const char* class_name, const std::string& name, const std::vector<std::string>& inputs,
                  Json config) {
    KerasLayer layer;
    layer.class_name = class_name;
    layer.name = name;
    layer.config = std::move(config);
    KerasCall call;
    for (const std::string& input : inputs) call.inputs.push_back({index_.at(input), 0});
    layer.calls.push_back(std::move(call));
    index_[name] = model.layers.size();
    model.order.push_back({model.layers.size(), 0});
    model.layers.push_back(std::move(layer));
    return name;
  }
  std::string conv(const std::string& name, const std::string& x, std::int64_t filters, std::int64_t kernel,
                   std::int64_t stride, const char* padding, bool bias) {
    Json config = Json::object();
    config.set("filters", filters)
        .set("kernel_size", kernel)
        .set("strides", stride)
        .set("padding", padding)
        .set("use_bias", bias);
    return add("Conv2D", name, {x}, std::move(config));
  }
  std::string norm(const std::string& name, const std::string& x) {
    Json config = Json::object();
    config.set("epsilon", epsilon);
    return add("BatchNormalization", name, {x}, std::move(config));
  }
  std::string relu(const std::string& name, const std::string& x) { return add("ReLU", name, {x}, Json::object()); }
  std::string pad(const std::string& name, const std::string& x, std::int64_t size) {
    Json config = Json::object();
    config.set("padding", size);
    return add("ZeroPadding2D", name, {x}, std::move(config));
  }
  std::string pool(const std::string& name, const std::string& x, std::int64_t kernel, std::int64_t stride) {
    Json config = Json::object();
    config.set("pool_size", kernel).set("strides", stride);
    return add("MaxPooling2D", name, {x}, std::move(config));
  }

  /// v1: stride in the first 1x1, every convolution with a bias.
  std::string block(const std::string& at, const std::string& x, std::int64_t filters, std::int64_t stride,
                    bool projects) {
    std::string y = conv(at + "1_conv", x, filters, 1, stride, "valid", true);
    y = relu(at + "1_relu", norm(at + "1_bn", y));
    y = conv(at + "2_conv", y, filters, 3, 1, "same", true);
    y = relu(at + "2_relu", norm(at + "2_bn", y));
    std::string shortcut = projects ? conv(at + "0_conv", x, 4 * filters, 1, stride, "valid", true) : x;
    y = conv(at + "3_conv", y, 4 * filters, 1, 1, "valid", true);
    if (projects) shortcut = norm(at + "0_bn", shortcut);
    y = norm(at + "3_bn", y);
    return relu(at + "out", add("Add", at + "add", {shortcut, y}, Json::object()));
  }
  /// v2: activation first; the stride sits in the last block of a stage, whose shortcut is subsampled by a pool.
  std::string block_v2(const std::string& at, const std::string& x, std::int64_t filters, std::int64_t stride,
                       bool projects) {
    const std::string active = relu(at + "preact_relu", norm(at + "preact_bn", x));
    std::string y = relu(at + "1_relu", norm(at + "1_bn", conv(at + "1_conv", active, filters, 1, 1, "valid", false)));
    y = conv(at + "2_conv", pad(at + "2_pad", y, 1), filters, 3, stride, "valid", false);
    y = relu(at + "2_relu", norm(at + "2_bn", y));
    std::string shortcut = x;
    if (projects) {
      shortcut = conv(at + "0_conv", active, 4 * filters, 1, stride, "valid", true);
    } else if (stride > 1) {
      shortcut = pool(at + "0_pool", x, 1, stride);
    }
    y = conv(at + "3_conv", y, 4 * filters, 1, 1, "valid", true);
    return add("Add", at + "out", {shortcut, y}, Json::object());
  }

 private:
  std::map<std::string, std::size_t> index_;
};

bool has_layer(const KerasModel& model, std::string_view name) {
  return std::any_of(model.layers.begin(), model.layers.end(), [&](const KerasLayer& layer) {
    return layer.name == name || (layer.model && has_layer(*layer.model, name));
  });
}

}  // namespace

std::vector<std::string_view> keras_application_names() {
  std::vector<std::string_view> names;
  for (const Application& application : applications) names.push_back(application.name);
  return names;
}

KerasModel keras_application(std::string_view name, std::int64_t classes) {
  const auto found =
      std::find_if(applications.begin(), applications.end(), [&](const auto& known) { return known.name == name; });
  if (found == applications.end()) return {};
  Builder b;
  b.model.class_name = "Functional";
  b.model.name = name.substr(name.find(':') + 1);
  Json input = Json::object();
  input.set("batch_shape", Json::Array{Json(), 224, 224, 3});
  std::string x = b.add("InputLayer", "input", {}, std::move(input));
  x = b.conv("conv1_conv", b.pad("conv1_pad", x, 3), 64, 7, 2, "valid", true);
  if (!found->v2) x = b.relu("conv1_relu", b.norm("conv1_bn", x));
  x = b.pool("pool1_pool", b.pad("pool1_pad", x, 1), 3, 2);
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::int64_t filters = std::int64_t{64} << stage;
    const int blocks = found->blocks[stage];
    for (int i = 0; i < blocks; ++i) {
      const std::string at = "conv" + std::to_string(stage + 2) + "_block" + std::to_string(i + 1) + '_';
      x = found->v2 ? b.block_v2(at, x, filters, stage < 3 && i + 1 == blocks ? 2 : 1, i == 0)
                    : b.block(at, x, filters, stage > 0 && i == 0 ? 2 : 1, i == 0);
    }
  }
  if (found->v2) x = b.relu("post_relu", b.norm("post_bn", x));
  Json dense = Json::object();
  dense.set("units", classes).set("activation", "softmax");
  b.add("Dense", "predictions", {b.add("GlobalAveragePooling2D", "avg_pool", {x}, Json::object())}, std::move(dense));
  b.model.output = {b.model.layers.size() - 1, 0};
  return std::move(b.model);
}

std::string keras_application_preset(const KerasModel& model) {
  const auto has = [&](std::string_view name) { return has_layer(model, name); };
  if (!has("conv1_conv") || !has("pool1_pad") || !has("conv2_block1_1_conv")) return {};
  return has("conv2_block1_preact_bn") ? "keras-tf" : "keras-caffe";
}

}  // namespace resnet::convert
