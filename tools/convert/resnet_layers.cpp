#include "convert/resnet_layers.hpp"

#include <utility>

namespace resnet::convert {
namespace {

constexpr double bn_eps = 1e-5;  // PyTorch's

/// Collects layers, tensor names and source shapes.
class Builder {
 public:
  explicit Builder(const ResNetShape& shape) : shape_(shape) {}

  Recipe build() {
    LayerSpec& input = add("input", "input", {});
    input.attrs["channels"] = shape_.input_channels;
    input.attrs["height"] = input.attrs["width"] = shape_.input_size;
    std::string x = stem();
    std::int64_t channels = shape_.stem.back();
    for (std::size_t stage = 0; stage < shape_.stages.size(); ++stage) {
      for (std::size_t i = 0; i < shape_.stages[stage].size(); ++i) {
        const BlockShape& block = shape_.stages[stage][i];
        const std::string name = "layer" + std::to_string(stage + 1) + '.' + std::to_string(i) + '.';
        const std::int64_t stride = i == 0 ? shape_.stride(stage) : 1;
        x = shape_.preactivation ? preactivated_block(name, x, channels, block, stride)
                                 : residual_block(name, x, channels, block, stride);
        channels = block.out;
      }
    }
    if (shape_.final_norm) x = relu("relu", batch_norm("norm", x, channels));
    add("avgpool", "global_avg_pool", {x});
    add("flatten", "flatten", {"avgpool"});
    x = "flatten";
    for (std::size_t i = 0; i < shape_.hidden.size(); ++i) {
      const std::string name = "fc." + std::to_string(i);
      x = relu(name + ".relu", dense(name, x, channels, shape_.hidden[i].out, shape_.hidden[i].bias));
      channels = shape_.hidden[i].out;
    }
    recipe_.output = dense("fc", x, channels, shape_.classes, shape_.head_bias);
    return std::move(recipe_);
  }

 private:
  LayerSpec& add(const std::string& name, const char* op, std::vector<std::string> inputs) {
    LayerSpec layer;
    layer.name = name;
    layer.op = op;
    layer.inputs = std::move(inputs);
    recipe_.layers.push_back(std::move(layer));
    return recipe_.layers.back();
  }
  void weight(LayerSpec& layer, const char* role, const std::string& key, TensorShape shape) {
    layer.weights[role] = key;
    recipe_.expected[key] = std::move(shape);
  }
  std::string relu(const std::string& name, const std::string& input) { return add(name, "relu", {input}).name; }

  std::string conv(const std::string& name, const std::string& input, std::int64_t in, std::int64_t out,
                   std::int64_t kernel, std::int64_t stride, bool bias, std::int64_t groups = 1) {
    const std::int64_t pad = kernel / 2;
    LayerSpec& layer = add(name, "conv2d", {input});
    layer.attrs["stride"] = std::vector<std::int64_t>{stride, stride};
    layer.attrs["padding"] = std::string("explicit");
    layer.attrs["pads"] = std::vector<std::int64_t>{pad, pad, pad, pad};
    if (groups != 1) layer.attrs["groups"] = groups;
    weight(layer, "weight", name + ".weight", {out, in / groups, kernel, kernel});
    if (bias) weight(layer, "bias", name + ".bias", {out});
    return name;
  }
  std::string batch_norm(const std::string& name, const std::string& input, std::int64_t channels) {
    LayerSpec& layer = add(name, "batch_norm", {input});
    layer.attrs["eps"] = bn_eps;
    weight(layer, "gamma", name + ".weight", {channels});
    weight(layer, "beta", name + ".bias", {channels});
    weight(layer, "mean", name + ".running_mean", {channels});
    weight(layer, "var", name + ".running_var", {channels});
    return name;
  }
  std::string dense(const std::string& name, const std::string& input, std::int64_t in, std::int64_t out, bool bias) {
    LayerSpec& layer = add(name, "dense", {input});
    weight(layer, "weight", name + ".weight", {out, in});
    if (bias) weight(layer, "bias", name + ".bias", {out});
    return name;
  }
  std::string pool(const std::string& name, const char* op, const std::string& input, std::int64_t kernel,
                   std::int64_t stride, std::int64_t pad, bool ceil_mode = false) {
    LayerSpec& layer = add(name, op, {input});
    layer.attrs["kernel"] = std::vector<std::int64_t>{kernel, kernel};
    layer.attrs["stride"] = std::vector<std::int64_t>{stride, stride};
    layer.attrs["padding"] = std::string(pad > 0 ? "explicit" : "valid");
    if (pad > 0) layer.attrs["pads"] = std::vector<std::int64_t>{pad, pad, pad, pad};
    if (ceil_mode) layer.attrs["ceil_mode"] = true;
    return name;
  }

  /// Halves height and width without aliasing. timm's blur is the filter [1 2 1] x [1 2 1] / 16 with stride 2 on a
  /// reflected border: the same as averaging 2x2 twice.
  std::string halve(const std::string& name, const std::string& input) {
    if (shape_.anti_alias == AntiAlias::average) return pool(name, "avg_pool", input, 2, 2, 0);
    LayerSpec& border = add(name + ".pad", "pad", {input});
    border.attrs["pads"] = std::vector<std::int64_t>{1, 1, 1, 1};
    border.attrs["mode"] = std::string("reflect");
    return pool(name, "avg_pool", pool(name + ".average", "avg_pool", name + ".pad", 2, 1, 0), 2, 2, 0);
  }

  std::string stem() {
    const bool anti_alias = shape_.anti_alias != AntiAlias::none;
    std::string x = "input";
    std::int64_t in = shape_.input_channels;
    if (shape_.stem.size() == 1) {
      x = conv("conv1", x, in, shape_.stem[0], shape_.stem_kernel, shape_.stem_stride, shape_.stem_bias);
    } else {  // a Sequential of convolution, batch norm, ReLU, convolution ...
      for (std::size_t i = 0; i < shape_.stem.size(); ++i) {
        const auto part = [&](std::size_t k) { return "conv1." + std::to_string(3 * i + k); };
        x = conv(part(0), x, in, shape_.stem[i], shape_.stem_kernel, i == 0 ? shape_.stem_stride : 1, shape_.stem_bias);
        in = shape_.stem[i];
        if (i + 1 < shape_.stem.size()) x = relu(part(2), batch_norm(part(1), x, in));
      }
    }
    const std::int64_t channels = shape_.stem.back();
    if (!shape_.preactivation) x = relu("relu", batch_norm("bn1", x, channels));
    switch (shape_.stem_pool) {
      case StemPool::none:
        break;
      case StemPool::max_ceil:
        return pool("maxpool", "max_pool", x, 3, 2, 0, true);
      case StemPool::conv: {
        x = conv("maxpool.0", x, channels, channels, 3, anti_alias ? 1 : 2, false);
        if (anti_alias) x = halve("maxpool.aa", x);
        return relu("maxpool.relu", batch_norm("maxpool.1", x, channels));
      }
      case StemPool::max:
        if (shape_.anti_alias == AntiAlias::average) return halve("maxpool", x);
        if (shape_.anti_alias == AntiAlias::none) return pool("maxpool", "max_pool", x, 3, 2, 1);
        return halve("maxpool.aa", pool("maxpool", "max_pool", x, 3, 1, 1));
    }
    return x;
  }

  std::string attention(const std::string& p, const std::string& input, const BlockShape& block) {
    if (shape_.attention == Attention::none) return input;
    std::string gate = add(p + "se.pool", "global_avg_pool", {input}).name;
    if (shape_.attention == Attention::squeeze_excite) {
      gate = relu(p + "se.relu", dense(p + "se.fc1", gate, block.out, block.squeeze, shape_.squeeze_bias));
      gate = dense(p + "se.fc2", gate, block.squeeze, block.out, shape_.squeeze_bias);
    } else {
      LayerSpec& layer = add(p + "se.conv", "channel_conv1d", {gate});
      weight(layer, "weight", p + "se.conv.weight", {block.squeeze});
      gate = p + "se.conv";
    }
    gate = add(p + "se.gate", "sigmoid", {gate}).name;
    return add(p + "se", "mul", {input, gate}).name;
  }

  /// The shortcut's convolution, without its batch norm.
  std::string project(const std::string& p, std::string x, std::int64_t in, const BlockShape& block,
                      std::int64_t stride) {
    if (shape_.average_down) {
      // Windows over the border divide by what they cover.
      if (stride > 1) x = pool(p + "downsample.pool", "avg_pool", x, 2, stride, 0, true);
      stride = 1;
    }
    // v2 names the convolution alike with and without the pool before it.
    const std::string name = p + (shape_.average_down && !shape_.preactivation ? "downsample.1" : "downsample.0");
    return conv(name, x, in, block.out, block.projection, stride, shape_.projection_bias);
  }

  std::string residual_block(const std::string& p, const std::string& input, std::int64_t in, const BlockShape& block,
                             std::int64_t stride) {
    const bool bias = shape_.block_bias;
    const bool halved = stride > 1 && shape_.anti_alias != AntiAlias::none;
    const std::int64_t first = shape_.stride_in_1x1 || !shape_.bottleneck ? stride : 1;
    std::string x;
    if (shape_.bottleneck) {
      x = conv(p + "conv1", input, in, block.width1, 1, first, bias);
      x = relu(p + "relu1", batch_norm(p + "bn1", x, block.width1));
      x = conv(p + "conv2", x, block.width1, block.width2, 3, halved ? 1 : stride / first, bias, block.groups);
      x = relu(p + "relu2", batch_norm(p + "bn2", x, block.width2));
      if (halved) x = halve(p + "aa", x);
      x = batch_norm(p + "bn3", conv(p + "conv3", x, block.width2, block.out, 1, 1, bias), block.out);
    } else {
      x = conv(p + "conv1", input, in, block.width1, 3, halved ? 1 : stride, bias);
      x = relu(p + "relu1", batch_norm(p + "bn1", x, block.width1));
      if (halved) x = halve(p + "aa", x);
      x = batch_norm(p + "bn2", conv(p + "conv2", x, block.width1, block.out, 3, 1, bias), block.out);
      if (shape_.relu_before_attention) x = relu(p + "relu2", x);
    }
    x = attention(p, x, block);
    std::string shortcut = input;
    if (block.projection > 0) {
      shortcut = project(p, input, in, block, stride);
      shortcut = batch_norm(p + (shape_.average_down ? "downsample.2" : "downsample.1"), shortcut, block.out);
    }
    add(p + "add", "add", {x, shortcut});
    return relu(p + "relu", p + "add");
  }

  std::string preactivated_block(const std::string& p, const std::string& input, std::int64_t in,
                                 const BlockShape& block, std::int64_t stride) {
    const bool bias = shape_.block_bias;
    const std::string activated = relu(p + "relu1", batch_norm(p + "bn1", input, in));
    std::string shortcut = input;
    if (block.projection > 0) shortcut = project(p, activated, in, block, stride);
    std::string x;
    if (shape_.bottleneck) {
      const std::int64_t first = shape_.stride_in_1x1 ? stride : 1;
      x = conv(p + "conv1", activated, in, block.width1, 1, first, bias);
      x = relu(p + "relu2", batch_norm(p + "bn2", x, block.width1));
      x = conv(p + "conv2", x, block.width1, block.width2, 3, stride / first, bias, block.groups);
      x = relu(p + "relu3", batch_norm(p + "bn3", x, block.width2));
      x = conv(p + "conv3", x, block.width2, block.out, 1, 1, bias);
    } else {
      x = conv(p + "conv1", activated, in, block.width1, 3, stride, bias);
      x = relu(p + "relu2", batch_norm(p + "bn2", x, block.width1));
      x = conv(p + "conv2", x, block.width1, block.out, 3, 1, bias);
    }
    return add(p + "add", "add", {x, shortcut}).name;
  }

  const ResNetShape& shape_;
  Recipe recipe_;
};

}  // namespace

Recipe resnet_recipe(const ResNetShape& shape) { return Builder(shape).build(); }

}  // namespace resnet::convert
