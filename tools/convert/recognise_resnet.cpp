#include "convert/recognise_resnet.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

namespace resnet::convert {
namespace {

bool sane(std::int64_t value, std::int64_t limit) { return value >= 1 && value <= limit; }

/// A key "layerL.<block>.<rest>".
struct BlockKey {
  std::size_t stage;  ///< from 0
  std::int64_t block;
  std::string_view rest;
};
std::optional<BlockKey> parse_block_key(std::string_view key) {
  constexpr std::string_view start = "layer";
  if (!key.starts_with(start) || key.size() < 8 || key[5] < '1' || key[5] > '8' || key[6] != '.') return std::nullopt;
  BlockKey parsed{static_cast<std::size_t>(key[5] - '1'), -1, {}};
  const char* end = key.data() + key.size();
  const auto number = std::from_chars(key.data() + 7, end, parsed.block);
  if (number.ec != std::errc() || number.ptr == end || *number.ptr != '.') return std::nullopt;
  if (parsed.block < 0 || parsed.block >= max_blocks) return std::nullopt;
  parsed.rest = std::string_view(number.ptr + 1, end);
  return parsed;
}

constexpr std::array<std::string_view, 5> norm_parts = {"weight", "bias", "running_mean", "running_var",
                                                        "num_batches_tracked"};
bool is_norm_part(std::string_view part) {
  return std::find(norm_parts.begin(), norm_parts.end(), part) != norm_parts.end();
}
bool is_layer_part(std::string_view part) { return part == "weight" || part == "bias"; }

/// Counts values and gives the most frequent; of equals the first.
class Vote {
 public:
  void add(std::int64_t value) {
    const auto known = std::find_if(counts_.begin(), counts_.end(), [&](const auto& c) { return c.first == value; });
    if (known == counts_.end()) {
      counts_.emplace_back(value, 1);
    } else {
      ++known->second;
    }
  }
  void add(const SourceTensor* tensor, std::size_t axis, std::int64_t factor = 1) {
    // Sizes beyond any network's are no evidence, and could overflow.
    if (tensor != nullptr && sane(tensor->shape[axis], max_channels * 4)) add(tensor->shape[axis] * factor);
  }
  std::int64_t winner(std::int64_t otherwise = 0) const {
    const auto best = std::max_element(counts_.begin(), counts_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return best == counts_.end() ? otherwise : best->first;
  }

 private:
  std::vector<std::pair<std::int64_t, int>> counts_;
};

class Reader {
 public:
  explicit Reader(const TensorIndex& tensors) : tensors_(tensors) {}

  std::optional<ResNetShape> read() {
    if (!count_blocks() || !read_stem()) return std::nullopt;
    if (!read_blocks()) return std::nullopt;
    read_ends(tensors_, shape_);
    if (!sane(shape_.input_channels, max_channels) || !sane(shape_.classes, max_classes)) return std::nullopt;
    return shape_;
  }

 private:
  const SourceTensor* conv(const std::string& name) const { return tensors_.find(name + ".weight", 4); }
  const SourceTensor* vector(const std::string& name) const { return tensors_.find(name, 1); }
  void add_norm(Vote& vote, const std::string& name) const {
    for (const std::string_view part : {"weight", "bias", "running_mean", "running_var"}) {
      vote.add(vector(name + '.' + std::string(part)), 0);
    }
  }
  static std::string block_name(std::size_t stage, std::size_t block) {
    return "layer" + std::to_string(stage + 1) + '.' + std::to_string(block) + '.';
  }

  bool count_blocks() {
    std::array<std::int64_t, max_stages> counts = {};
    std::int64_t thirds = 0, biases = 0, convolutions = 0, projections = 0, projection_biases = 0;
    std::int64_t pooled = 0, plain = 0, squeezes = 0, squeeze_biases = 0, kernels = 0;
    for (const SourceTensor& tensor : tensors_.all()) {
      shape_.final_norm |= tensor.name.starts_with("norm.");
      const auto key = parse_block_key(tensor.name);
      if (!key) continue;
      counts[key->stage] = std::max(counts[key->stage], key->block + 1);
      const std::string_view rest = key->rest;
      const bool four = tensor.shape.size() == 4;
      if (four && rest.starts_with("conv")) ++convolutions;
      if (four && rest == "conv3.weight") ++thirds;
      if (rest.starts_with("conv") && rest.ends_with(".bias")) ++biases;
      if (four && rest == "downsample.0.weight") ++plain;
      if (four && rest == "downsample.1.weight") ++pooled;
      if (rest == "se.fc1.weight" || rest == "se.fc2.weight") ++squeezes;
      if (rest == "se.fc1.bias" || rest == "se.fc2.bias") ++squeeze_biases;
      if (rest == "se.conv.weight") ++kernels;
    }
    std::int64_t blocks = 0;
    std::size_t stages = 0;
    for (; stages < max_stages && counts[stages] > 0; ++stages) blocks += counts[stages];
    const bool gap = std::any_of(counts.begin() + static_cast<std::ptrdiff_t>(stages), counts.end(),
                                 [](std::int64_t count) { return count > 0; });
    if (stages == 0 || gap || blocks > static_cast<std::int64_t>(tensors_.all().size())) return false;
    for (std::size_t stage = 0; stage < stages; ++stage) {
      shape_.stages.emplace_back(static_cast<std::size_t>(counts[stage]));
    }
    shape_.bottleneck = 2 * thirds > blocks;
    shape_.block_bias = 2 * biases > convolutions;
    shape_.average_down = pooled > plain;
    projections = std::max(pooled, plain);
    for (std::size_t stage = 0; stage < stages; ++stage) {
      const std::string bias = shape_.average_down ? "downsample.1.bias" : "downsample.0.bias";
      if (tensors_.find(block_name(stage, 0) + bias) != nullptr) ++projection_biases;
    }
    shape_.projection_bias = projection_biases > 0 && 2 * projection_biases >= projections;
    if (2 * kernels > blocks) shape_.attention = Attention::efficient_channel;
    if (squeezes > blocks) shape_.attention = Attention::squeeze_excite;
    shape_.squeeze_bias = squeeze_biases > 0 || squeezes == 0;
    return true;
  }

  bool read_stem() {
    const SourceTensor* next = conv("layer1.0.conv1");
    std::size_t convolutions = 1;
    for (std::size_t i = 0; i < 9; ++i) {
      if (conv("conv1." + std::to_string(i)) != nullptr) convolutions = std::max(convolutions, i / 3 + 1);
    }
    for (std::size_t i = 0; i < convolutions; ++i) {
      Vote channels;
      if (convolutions == 1) {
        channels.add(conv("conv1"), 0);
      } else {
        channels.add(conv("conv1." + std::to_string(3 * i)), 0);
        if (i + 1 < convolutions) {
          add_norm(channels, "conv1." + std::to_string(3 * i + 1));
          channels.add(conv("conv1." + std::to_string(3 * i + 3)), 1);
        }
      }
      if (i + 1 == convolutions) {
        add_norm(channels, "bn1");
        channels.add(next, 1);
      }
      shape_.stem.push_back(channels.winner());
      if (!sane(shape_.stem.back(), max_channels)) return false;
    }
    if (const SourceTensor* first = convolutions == 1 ? conv("conv1") : conv("conv1.0")) {
      shape_.stem_kernel = first->shape[2];
      if (!sane(shape_.stem_kernel, 31)) return false;
      shape_.stem_bias = tensors_.find(convolutions == 1 ? "conv1.bias" : "conv1.0.bias") != nullptr;
    } else if (convolutions > 1) {
      shape_.stem_kernel = 3;
    }
    if (convolutions == 1 && shape_.stem_kernel == 3) {  // as CIFAR's nets are built
      shape_.stem_stride = 1;
      shape_.stem_pool = StemPool::none;
      shape_.input_size = 32;
    }
    if (conv("maxpool.0") != nullptr || vector("maxpool.1.weight") != nullptr) shape_.stem_pool = StemPool::conv;
    return true;
  }

  /// In v2 the first norm of a block is as wide as the block's input, which shows where the width changes.
  bool read_preactivation() const {
    std::int64_t before = 0, after = 0;
    std::int64_t in = shape_.stem.back();
    for (std::size_t stage = 0; stage < shape_.stages.size(); ++stage) {
      for (std::size_t i = 0; i < shape_.stages[stage].size(); ++i) {
        const std::string p = block_name(stage, i);
        const SourceTensor *first = conv(p + "conv1"), *norm = vector(p + "bn1.weight");
        if (first != nullptr) in = first->shape[1];
        if (first == nullptr || norm == nullptr || first->shape[0] == in) continue;
        if (norm->shape[0] == in) ++before;
        if (norm->shape[0] == first->shape[0]) ++after;
      }
    }
    return before > after;
  }

  bool read_blocks() {
    shape_.preactivation = read_preactivation();
    if (shape_.preactivation && shape_.stem.size() > 1) shape_.average_down = true;  // timm's only deep v2 nets
    const bool v2 = shape_.preactivation;
    const auto norm_behind = [&](int convolution) { return "bn" + std::to_string(convolution + (v2 ? 1 : 0)); };
    const std::int64_t groups = shape_.bottleneck ? read_groups(norm_behind(1)) : 1;
    std::int64_t channels = shape_.stem.back();
    for (std::size_t stage = 0; stage < shape_.stages.size(); ++stage) {
      auto& blocks = shape_.stages[stage];
      for (std::size_t i = 0; i < blocks.size(); ++i) {
        const std::string p = block_name(stage, i);
        BlockShape& block = blocks[i];
        Vote width1, width2, out;
        width1.add(conv(p + "conv1"), 0);
        add_norm(width1, p + norm_behind(1));
        width1.add(conv(p + "conv2"), 1, groups);
        if (shape_.bottleneck) {
          width2.add(conv(p + "conv2"), 0);
          add_norm(width2, p + norm_behind(2));
          width2.add(conv(p + "conv3"), 1);
          out.add(conv(p + "conv3"), 0);
          if (!v2) add_norm(out, p + "bn3");
        } else {
          out.add(conv(p + "conv2"), 0);
          if (!v2) add_norm(out, p + "bn2");
        }
        out.add(conv(p + projection_key()), 0);
        const bool last = i + 1 == blocks.size();
        out.add(conv((last ? block_name(stage + 1, 0) : block_name(stage, i + 1)) + "conv1"), 1);
        block.out = out.winner();
        block.width1 = width1.winner();
        block.width2 = shape_.bottleneck ? width2.winner() : block.out;
        block.groups = groups;
        const std::int64_t limit = max_channels * 4;
        if (!sane(block.out, limit) || !sane(block.width1, limit) || !sane(block.width2, limit) ||
            block.width1 % groups != 0) {
          return false;
        }
        read_attention(p, block);
        read_projection(p, stage, i, channels, block);
        channels = block.out;
      }
    }
    return true;
  }

  std::string projection_key() const {
    return shape_.average_down && !shape_.preactivation ? "downsample.1" : "downsample.0";
  }

  std::int64_t read_groups(const std::string& norm) const {
    Vote groups;
    for (std::size_t stage = 0; stage < shape_.stages.size(); ++stage) {
      for (std::size_t i = 0; i < shape_.stages[stage].size(); ++i) {
        const std::string p = block_name(stage, i);
        const SourceTensor* second = conv(p + "conv2");
        Vote width;
        width.add(conv(p + "conv1"), 0);
        add_norm(width, p + norm);
        const std::int64_t channels = width.winner();
        if (second == nullptr || !sane(second->shape[1], max_channels) || channels % second->shape[1] != 0) continue;
        if (channels > 0) groups.add(channels / second->shape[1]);
      }
    }
    return groups.winner(1);
  }

  void read_attention(const std::string& p, BlockShape& block) const {
    if (shape_.attention == Attention::none) return;
    Vote inside;
    if (shape_.attention == Attention::efficient_channel) {
      inside.add(tensors_.find(p + "se.conv.weight", 1), 0);
      block.squeeze = inside.winner(3);
    } else {
      inside.add(tensors_.find(p + "se.fc1.weight", 2), 0);
      inside.add(vector(p + "se.fc1.bias"), 0);
      inside.add(tensors_.find(p + "se.fc2.weight", 2), 1);
      block.squeeze = inside.winner(8);
    }
  }

  void read_projection(const std::string& p, std::size_t stage, std::size_t i, std::int64_t in, BlockShape& block) {
    bool present = false;
    for (const char* number : {"0", "1", "2"}) {
      for (const std::string_view part : norm_parts) {
        present |= tensors_.find(p + "downsample." + number + '.' + std::string(part)) != nullptr;
      }
    }
    const std::int64_t stride = i == 0 ? shape_.stride(stage) : 1;
    if (!present && stride == 1 && in == block.out) return;
    const SourceTensor* weights = conv(p + projection_key());
    block.projection = weights != nullptr && sane(weights->shape[2], 31) ? weights->shape[2] : 1;
  }

  const TensorIndex& tensors_;
  ResNetShape shape_;
};

}  // namespace

bool is_canonical_key(std::string_view key) {
  const auto split = [](std::string_view text) {
    const std::size_t dot = text.rfind('.');
    return dot == std::string_view::npos ? std::pair(std::string_view(), text)
                                         : std::pair(text.substr(0, dot), text.substr(dot + 1));
  };
  const auto is_in = [](std::string_view name, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (const auto block = parse_block_key(key)) {
    const auto [layer, part] = split(block->rest);
    if (is_in(layer, {"bn1", "bn2", "bn3", "downsample.0", "downsample.1", "downsample.2"})) return is_norm_part(part);
    return is_in(layer, {"conv1", "conv2", "conv3", "se.fc1", "se.fc2", "se.conv"}) && is_layer_part(part);
  }
  const auto [layer, part] = split(key);
  if (is_in(layer, {"bn1", "norm", "conv1.1", "conv1.4", "maxpool.1"})) return is_norm_part(part);
  return is_in(layer, {"conv1", "conv1.0", "conv1.3", "conv1.6", "maxpool.0", "fc"}) && is_layer_part(part);
}

void read_ends(const TensorIndex& tensors, ResNetShape& shape) {
  const SourceTensor* stem = tensors.find(shape.stem.size() > 1 ? "conv1.0.weight" : "conv1.weight", 4);
  const SourceTensor* head = tensors.find("fc.weight", 2);
  if (head == nullptr) head = tensors.find("fc.bias", 1);
  if (stem != nullptr) shape.input_channels = stem->shape[1];
  if (head != nullptr) shape.classes = head->shape[0];
}

std::optional<ResNetShape> read_resnet(const TensorIndex& tensors) { return Reader(tensors).read(); }

}  // namespace resnet::convert
