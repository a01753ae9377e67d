#include "support/resnet_graphs.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <utility>

namespace resnet::test {
namespace {

struct Variant {
  std::string_view name;
  bool bottleneck;
  std::array<int, 4> blocks;
  std::int64_t groups, width_per_group;
};

constexpr std::array variants{
    Variant{"resnet18", false, {2, 2, 2, 2}, 1, 64},         Variant{"resnet34", false, {3, 4, 6, 3}, 1, 64},
    Variant{"resnet50", true, {3, 4, 6, 3}, 1, 64},          Variant{"resnet101", true, {3, 4, 23, 3}, 1, 64},
    Variant{"resnet152", true, {3, 8, 36, 3}, 1, 64},        Variant{"resnext50_32x4d", true, {3, 4, 6, 3}, 32, 4},
    Variant{"resnext101_32x8d", true, {3, 4, 23, 3}, 32, 8}, Variant{"resnext101_64x4d", true, {3, 4, 23, 3}, 64, 4},
    Variant{"wide_resnet50_2", true, {3, 4, 6, 3}, 1, 128},  Variant{"wide_resnet101_2", true, {3, 4, 23, 3}, 1, 128},
};

using Ints = std::vector<std::int64_t>;

/// Appends layers; every method returns the name of the layer that it added.
class Builder {
 public:
  NetworkSpec network;

  std::string add(std::string name, std::string op, std::vector<std::string> inputs, AttrMap attrs = {}) {
    network.layers.push_back({name, std::move(op), std::move(inputs), std::move(attrs), {}});
    return name;
  }

  std::string conv(const std::string& name, const std::string& input, std::int64_t C, std::int64_t K,
                   std::int64_t kernel, std::int64_t stride, std::int64_t groups = 1) {
    const std::int64_t pad = kernel / 2;
    add(name, "conv2d", {input},
        {{"stride", Ints{stride, stride}},
         {"padding", std::string("explicit")},
         {"pads", Ints{pad, pad, pad, pad}},
         {"groups", groups}});
    weight("weight", name + ".weight", {K, kernel, kernel, C / groups});
    return name;
  }

  std::string batch_norm(const std::string& name, const std::string& input, std::int64_t C) {
    add(name, "batch_norm", {input}, {{"eps", 1e-5}});
    weight("gamma", name + ".weight", {C});
    weight("beta", name + ".bias", {C});
    weight("mean", name + ".running_mean", {C});
    weight("var", name + ".running_var", {C});
    return name;
  }

  std::string relu(const std::string& name, const std::string& input) { return add(name, "relu", {input}); }

  void weight(const std::string& role, const std::string& tensor, TensorShape shape) {
    network.layers.back().weights.emplace(role, tensor);
    network.tensors.emplace(tensor, TensorInfo{DType::f32, std::move(shape)});
  }
};

/// x times sigmoid(W2 relu(W1 mean(x))), a factor per channel.
std::string squeeze_excite(Builder& b, const std::string& name, const std::string& x, std::int64_t C) {
  const std::int64_t narrow = C / 16;
  std::string gate = b.add(name + ".pool", "global_avg_pool", {x});
  gate = b.conv(name + ".fc1", gate, C, narrow, 1, 1);
  b.weight("bias", name + ".fc1.bias", {narrow});
  gate = b.conv(name + ".fc2", b.relu(name + ".relu", gate), narrow, C, 1, 1);
  b.weight("bias", name + ".fc2.bias", {C});
  gate = b.add(name + ".sigmoid", "sigmoid", {gate});
  return b.add(name + ".scale", "mul", {x, gate});
}

/// The block of ResNet v2; a residual that changes size starts behind the first batch norm and ReLU.
std::string pre_activation_block(Builder& b, const Variant& v, const std::string& name, const std::string& input,
                                 std::int64_t C, std::int64_t planes, std::int64_t stride) {
  const std::int64_t K = v.bottleneck ? planes * 4 : planes;
  const auto normed = [&](const std::string& number, const std::string& x, std::int64_t channels) {
    return b.relu(name + ".relu" + number, b.batch_norm(name + ".bn" + number, x, channels));
  };
  const std::string first = normed("1", input, C);
  std::string x = b.conv(name + ".conv1", first, C, planes, v.bottleneck ? 1 : 3, v.bottleneck ? 1 : stride);
  x = b.conv(name + ".conv2", normed("2", x, planes), planes, planes, 3, v.bottleneck ? stride : 1);
  if (v.bottleneck) x = b.conv(name + ".conv3", normed("3", x, planes), planes, K, 1, 1);
  const bool same = stride == 1 && C == K;
  return b.add(name + ".add", "add", {x, same ? input : b.conv(name + ".downsample", first, C, K, 1, stride)});
}

std::string block(Builder& b, const Variant& v, const std::string& name, const std::string& input, std::int64_t C,
                  std::int64_t planes, std::int64_t stride, bool excited) {
  const std::int64_t K = v.bottleneck ? planes * 4 : planes;
  const std::int64_t width = v.bottleneck ? planes * v.width_per_group / 64 * v.groups : planes;
  std::string x;
  if (v.bottleneck) {
    x = b.relu(name + ".relu", b.batch_norm(name + ".bn1", b.conv(name + ".conv1", input, C, width, 1, 1), width));
    x = b.conv(name + ".conv2", x, width, width, 3, stride, v.groups);
    x = b.relu(name + ".relu_1", b.batch_norm(name + ".bn2", x, width));
    x = b.batch_norm(name + ".bn3", b.conv(name + ".conv3", x, width, K, 1, 1), K);
  } else {
    x = b.relu(name + ".relu", b.batch_norm(name + ".bn1", b.conv(name + ".conv1", input, C, K, 3, stride), K));
    x = b.batch_norm(name + ".bn2", b.conv(name + ".conv2", x, K, K, 3, 1), K);
  }
  if (excited) x = squeeze_excite(b, name + ".se", x, K);
  std::string residual = input;
  if (stride != 1 || C != K) {
    residual = b.batch_norm(name + ".downsample.1", b.conv(name + ".downsample.0", input, C, K, 1, stride), K);
  }
  x = b.add(name + ".add", "add", {x, residual});
  return b.relu(name + (v.bottleneck ? ".relu_2" : ".relu_1"), x);
}

NetworkSpec network(std::string_view name, std::int64_t size, std::int64_t classes, std::optional<Relative> relative) {
  const auto v =
      std::find_if(variants.begin(), variants.end(), [&](const Variant& known) { return known.name == name; });
  if (v == variants.end()) throw std::out_of_range("no torchvision ResNet is called " + std::string(name));

  const bool pre_activated = relative == Relative::pre_activation;
  Builder b;
  b.add("input", "input", {}, {{"channels", std::int64_t{3}}, {"height", size}, {"width", size}});
  std::string x = b.conv("conv1", "input", 3, 64, 7, 2);
  if (!pre_activated) x = b.relu("relu", b.batch_norm("bn1", x, 64));
  x = b.add("maxpool", "max_pool", {x},
            {{"kernel", Ints{3, 3}},
             {"stride", Ints{2, 2}},
             {"padding", std::string("explicit")},
             {"pads", Ints{1, 1, 1, 1}}});
  std::int64_t C = 64;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::int64_t planes = std::int64_t{64} << stage;
    for (int i = 0; i < v->blocks[stage]; ++i) {
      const std::string where = "layer" + std::to_string(stage + 1) + '.' + std::to_string(i);
      const std::int64_t stride = i == 0 && stage > 0 ? 2 : 1;
      x = pre_activated ? pre_activation_block(b, *v, where, x, C, planes, stride)
                        : block(b, *v, where, x, C, planes, stride, relative == Relative::squeeze_excite);
      C = v->bottleneck ? planes * 4 : planes;
    }
  }
  if (pre_activated) x = b.relu("relu", b.batch_norm("norm", x, C));
  x = b.add("avgpool", "global_avg_pool", {x});
  x = b.add("flatten", "flatten", {x}, {{"order", std::string("nchw")}});
  b.network.output = b.add("fc", "dense", {x});
  b.weight("weight", "fc.weight", {classes, C});
  b.weight("bias", "fc.bias", {classes});
  return std::move(b.network);
}

}  // namespace

std::span<const std::string_view> torchvision_resnets() {
  static const auto names = [] {
    std::array<std::string_view, variants.size()> list;
    std::transform(variants.begin(), variants.end(), list.begin(), [](const Variant& v) { return v.name; });
    return list;
  }();
  return names;
}

NetworkSpec torchvision_resnet(std::string_view name, std::int64_t size, std::int64_t classes) {
  return network(name, size, classes, std::nullopt);
}

NetworkSpec resnet_relative(Relative relative, std::string_view name, std::int64_t size, std::int64_t classes) {
  return network(name, size, classes, relative);
}

}  // namespace resnet::test
