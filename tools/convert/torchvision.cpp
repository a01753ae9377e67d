#include "convert/torchvision.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

namespace resnet::convert {
namespace {

constexpr double bn_eps = 1e-5;

/// Collects layers, tensor names and source shapes.
class Builder {
 public:
  Recipe recipe;

  std::string conv(const std::string& name, const std::string& input, std::int64_t in, std::int64_t out,
                   std::int64_t kernel, std::int64_t stride, std::int64_t groups = 1) {
    const std::int64_t pad = kernel / 2;
    LayerSpec& layer = add(name, "conv2d", {input});
    layer.attrs["stride"] = std::vector<std::int64_t>{stride, stride};
    layer.attrs["padding"] = std::string("explicit");
    layer.attrs["pads"] = std::vector<std::int64_t>{pad, pad, pad, pad};
    if (groups != 1) layer.attrs["groups"] = groups;
    weight(layer, "weight", name + ".weight", {out, in / groups, kernel, kernel});
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
  LayerSpec& add(const std::string& name, const char* op, std::vector<std::string> inputs) {
    LayerSpec layer;
    layer.name = name;
    layer.op = op;
    layer.inputs = std::move(inputs);
    recipe.layers.push_back(std::move(layer));
    return recipe.layers.back();
  }
  std::string relu(const std::string& name, const std::string& input) { return add(name, "relu", {input}).name; }
  void weight(LayerSpec& layer, const char* role, const std::string& key, TensorShape shape) {
    layer.weights[role] = key;
    recipe.expected[key] = std::move(shape);
  }
};

std::int64_t expansion(const ResNetShape& shape) { return shape.bottleneck ? 4 : 1; }
/// Channels of the 3x3 in a stage of `planes`; torchvision: int(planes * base_width / 64) * groups.
std::int64_t inner_width(const ResNetShape& shape, std::int64_t planes) {
  return planes * shape.group_width / shape.planes * shape.groups;
}
std::string dotted(std::string_view stage, std::int64_t block) {
  return std::string(stage) + '.' + std::to_string(block);
}

/// Beyond these no classifier is meant, and all sums below stay far from 64 bits.
constexpr std::int64_t max_channels = 65'536, max_classes = 10'000'000;
bool sane(std::int64_t value, std::int64_t limit) { return value >= 1 && value <= limit; }

/// A key "layerL.<block>.<rest>" of one of the four stages.
struct BlockKey {
  std::size_t stage;  ///< from 0
  std::int64_t block;
  std::string_view rest;
};
std::optional<BlockKey> parse_block_key(std::string_view key) {
  constexpr std::string_view start = "layer";
  if (!key.starts_with(start) || key.size() < 8 || key[5] < '1' || key[5] > '4' || key[6] != '.') return std::nullopt;
  BlockKey parsed{static_cast<std::size_t>(key[5] - '1'), -1, {}};
  const char* end = key.data() + key.size();
  const auto number = std::from_chars(key.data() + 7, end, parsed.block);
  if (number.ec != std::errc() || number.ptr == end || *number.ptr != '.') return std::nullopt;
  if (parsed.block < 0 || parsed.block >= 1000) return std::nullopt;
  parsed.rest = std::string_view(number.ptr + 1, end);
  return parsed;
}

/// Channels of the stem, from whichever of its neighbours is there; 0 when none is.
std::int64_t stem_planes(const TensorIndex& tensors) {
  if (const SourceTensor* conv = tensors.find("conv1.weight", 4)) return conv->shape[0];
  if (const SourceTensor* norm = tensors.find("bn1.weight", 1)) return norm->shape[0];
  const SourceTensor* next = tensors.find("layer1.0.conv1.weight", 4);
  return next == nullptr ? 0 : next->shape[1];
}
/// What the stem takes and what the head puts out, where the tensors say it.
void read_ends(const TensorIndex& tensors, ResNetShape& shape) {
  const SourceTensor* stem = tensors.find("conv1.weight", 4);
  const SourceTensor* head = tensors.find("fc.weight", 2);
  if (head == nullptr) head = tensors.find("fc.bias", 1);
  if (stem != nullptr) shape.input_channels = stem->shape[1];
  if (head != nullptr) shape.classes = head->shape[0];
}

constexpr std::array<TorchvisionNet, 10> nets = {{
    {"resnet18", {false, {2, 2, 2, 2}, 1, 64}, 11'689'512},
    {"resnet34", {false, {3, 4, 6, 3}, 1, 64}, 21'797'672},
    {"resnet50", {true, {3, 4, 6, 3}, 1, 64}, 25'557'032},
    {"resnet101", {true, {3, 4, 23, 3}, 1, 64}, 44'549'160},
    {"resnet152", {true, {3, 8, 36, 3}, 1, 64}, 60'192'808},
    {"resnext50_32x4d", {true, {3, 4, 6, 3}, 32, 4}, 25'028'904},
    {"resnext101_32x8d", {true, {3, 4, 23, 3}, 32, 8}, 88'791'336},
    {"resnext101_64x4d", {true, {3, 4, 23, 3}, 64, 4}, 83'455'272},
    {"wide_resnet50_2", {true, {3, 4, 6, 3}, 1, 128}, 68'883'240},
    {"wide_resnet101_2", {true, {3, 4, 23, 3}, 1, 128}, 126'886'696},
}};

}  // namespace

std::span<const TorchvisionNet> torchvision_nets() { return nets; }

const TorchvisionNet* find_torchvision_net(std::string_view name) {
  const auto found = std::find_if(nets.begin(), nets.end(), [&](const auto& net) { return net.name == name; });
  return found == nets.end() ? nullptr : &*found;
}

Recipe resnet_recipe(const ResNetShape& shape) {
  Builder b;
  LayerSpec& input = b.add("input", "input", {});
  input.attrs["channels"] = shape.input_channels;
  input.attrs["height"] = std::int64_t{224};
  input.attrs["width"] = std::int64_t{224};
  std::string x = b.conv("conv1", "input", shape.input_channels, shape.planes, 7, 2);
  x = b.relu("relu", b.batch_norm("bn1", x, shape.planes));
  LayerSpec& pool = b.add("maxpool", "max_pool", {x});
  pool.attrs["kernel"] = std::vector<std::int64_t>{3, 3};
  pool.attrs["stride"] = std::vector<std::int64_t>{2, 2};
  pool.attrs["padding"] = std::string("explicit");
  pool.attrs["pads"] = std::vector<std::int64_t>{1, 1, 1, 1};
  x = "maxpool";

  std::int64_t channels = shape.planes;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::int64_t planes = shape.planes << stage;
    const std::int64_t out = planes * expansion(shape);
    for (std::int64_t block = 0; block < shape.blocks[stage]; ++block) {
      const std::string p = dotted("layer" + std::to_string(stage + 1), block) + '.';
      const std::int64_t stride = block == 0 && stage > 0 ? 2 : 1;
      std::string y;
      if (shape.bottleneck) {
        const std::int64_t width = inner_width(shape, planes);
        y = b.relu(p + "relu1", b.batch_norm(p + "bn1", b.conv(p + "conv1", x, channels, width, 1, 1), width));
        y = b.relu(p + "relu2",
                   b.batch_norm(p + "bn2", b.conv(p + "conv2", y, width, width, 3, stride, shape.groups), width));
        y = b.batch_norm(p + "bn3", b.conv(p + "conv3", y, width, out, 1, 1), out);
      } else {
        y = b.relu(p + "relu1", b.batch_norm(p + "bn1", b.conv(p + "conv1", x, channels, planes, 3, stride), planes));
        y = b.batch_norm(p + "bn2", b.conv(p + "conv2", y, planes, out, 3, 1), out);
      }
      std::string shortcut = x;
      if (stride != 1 || channels != out) {
        shortcut = b.batch_norm(p + "downsample.1", b.conv(p + "downsample.0", x, channels, out, 1, stride), out);
      }
      b.add(p + "add", "add", {y, shortcut});
      x = b.relu(p + "relu", p + "add");
      channels = out;
    }
  }

  b.add("avgpool", "global_avg_pool", {x});
  b.add("flatten", "flatten", {"avgpool"});
  LayerSpec& fc = b.add("fc", "dense", {"flatten"});
  b.weight(fc, "weight", "fc.weight", {shape.classes, channels});
  b.weight(fc, "bias", "fc.bias", {shape.classes});

  b.recipe.name = name_of(shape);
  b.recipe.output = "fc";
  if (shape.input_channels == 3) b.recipe.preset = "torchvision";
  b.recipe.expected_parameters = resnet_parameters(shape);
  return std::move(b.recipe);
}

std::int64_t resnet_parameters(const ResNetShape& shape) {
  // Known nets: torchvision's published count, corrected for another head or stem. Others: the sum over the definition.
  for (const TorchvisionNet& net : nets) {
    ResNetShape same = shape;
    same.input_channels = net.shape.input_channels;
    same.classes = net.shape.classes;
    if (!(same == net.shape)) continue;
    const std::int64_t features = 8 * shape.planes * expansion(shape);
    return net.parameters + (shape.classes - 1000) * (features + 1) + (shape.input_channels - 3) * shape.planes * 7 * 7;
  }
  std::int64_t total = shape.input_channels * shape.planes * 49 + 2 * shape.planes;
  std::int64_t channels = shape.planes;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::int64_t planes = shape.planes << stage;
    const std::int64_t out = planes * expansion(shape);
    const std::int64_t width = inner_width(shape, planes);
    for (std::int64_t block = 0; block < shape.blocks[stage]; ++block) {
      total += shape.bottleneck
                   ? channels * width + 9 * width * width / shape.groups + width * out + 4 * width + 2 * out
                   : 9 * channels * planes + 9 * planes * out + 2 * planes + 2 * out;
      if ((block == 0 && stage > 0) || channels != out) total += channels * out + 2 * out;
      channels = out;
    }
  }
  return total + (channels + 1) * shape.classes;
}

std::optional<ResNetShape> recognise_resnet(const TensorIndex& tensors, std::string& why) {
  // No key is needed for itself: a net with a missing or renamed one is still recognised, so that the mapping names it.
  ResNetShape shape;
  const SourceTensor* second = nullptr;  // a 3x3 of the first stage that has one
  std::size_t second_stage = 4;
  std::int64_t thirds = 0;
  for (const SourceTensor& tensor : tensors.all()) {
    const auto key = parse_block_key(tensor.name);
    if (!key) continue;
    shape.blocks[key->stage] = std::max(shape.blocks[key->stage], key->block + 1);
    if (tensor.shape.size() != 4) continue;
    if (key->rest == "conv3.weight") ++thirds;
    if (key->rest == "conv2.weight" && key->stage < second_stage) {
      second = &tensor;
      second_stage = key->stage;
    }
  }
  std::int64_t all_blocks = 0;
  for (const std::int64_t count : shape.blocks) {
    if (count == 0) return std::nullopt;
    all_blocks += count;
  }
  shape.planes = stem_planes(tensors);
  read_ends(tensors, shape);
  if (second == nullptr || !sane(shape.planes, max_channels) || !sane(shape.input_channels, max_channels) ||
      !sane(shape.classes, max_classes)) {
    return std::nullopt;
  }
  shape.bottleneck = 2 * thirds > all_blocks;
  shape.group_width = shape.planes;
  if (shape.bottleneck) {
    const std::int64_t width = second->shape[0] >> second_stage;  // widths double from stage to stage
    const std::int64_t per_group = second->shape[1];
    if (!sane(width, max_channels) || !sane(per_group, second->shape[0]) || second->shape[0] % per_group != 0) {
      return std::nullopt;
    }
    shape.groups = second->shape[0] / per_group;
    if (width % shape.groups != 0) return std::nullopt;
    shape.group_width = width / shape.groups;
  }

  std::string blocks;
  for (const std::int64_t count : shape.blocks) blocks += (blocks.empty() ? "" : ",") + std::to_string(count);
  why = std::string(shape.bottleneck ? "bottleneck blocks (conv3 exists) " : "basic blocks (no conv3) ") + blocks;
  if (shape.bottleneck) {
    why += ", conv2 of layer" + std::to_string(second_stage + 1) + ' ' + to_string(second->shape) + ": groups " +
           std::to_string(shape.groups) + " of width " + std::to_string(shape.group_width);
  }
  if (shape.input_channels != 3) why += ", " + std::to_string(shape.input_channels) + " input channels";
  if (const SourceTensor* head = tensors.find("fc.weight", 2)) {
    why += ", fc " + to_string(head->shape) + ": " + std::to_string(shape.classes) + " classes";
  }
  return shape;
}

ResNetShape adapt_to(const TorchvisionNet& net, const TensorIndex& tensors) {
  ResNetShape ends = net.shape, shape = net.shape;
  read_ends(tensors, ends);
  if (sane(ends.input_channels, max_channels)) shape.input_channels = ends.input_channels;
  if (sane(ends.classes, max_classes)) shape.classes = ends.classes;
  return shape;
}

std::string name_of(const ResNetShape& shape) {
  for (const TorchvisionNet& net : nets) {
    ResNetShape same = shape;
    same.input_channels = net.shape.input_channels;
    same.classes = net.shape.classes;
    if (same == net.shape) return std::string(net.name);
  }
  return "resnet";
}

}  // namespace resnet::convert
