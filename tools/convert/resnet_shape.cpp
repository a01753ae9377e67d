#include "convert/resnet_shape.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"

namespace resnet::convert {
namespace {

std::string joined(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t value : values) text += (text.empty() ? "" : ",") + std::to_string(value);
  return text;
}

std::vector<std::int64_t> block_counts(const ResNetShape& shape) {
  std::vector<std::int64_t> counts;
  for (const auto& stage : shape.stages) counts.push_back(static_cast<std::int64_t>(stage.size()));
  return counts;
}

/// timm's rule: the nearest multiple of the divisor, at least one.
std::int64_t squeeze_channels(std::int64_t channels, std::int64_t ratio, std::int64_t divisor) {
  const double wanted = static_cast<double>(channels) / static_cast<double>(ratio);
  const double half = static_cast<double>(divisor / 2);
  return std::max(divisor, static_cast<std::int64_t>(wanted + half) / divisor * divisor);
}

/// ECA-Net's rule: half of log2(channels) + 1, made odd.
std::int64_t attention_kernel(std::int64_t channels) {
  const auto t = static_cast<std::int64_t>((std::log2(static_cast<double>(channels)) + 1) / 2);
  return std::max<std::int64_t>(3, t % 2 == 1 ? t : t + 1);
}

std::string pool_text(const ResNetShape& shape) {
  switch (shape.stem_pool) {
    case StemPool::none:
      return "no stem pool";
    case StemPool::conv:
      return "stem pool by a convolution";
    case StemPool::max_ceil:
      return "unpadded stem pool";
    case StemPool::max:
      break;
  }
  return {};
}

void check_size(std::int64_t value, std::int64_t limit, const char* what) {
  if (value >= 1 && value <= limit) return;
  fail(ErrorCode::limit_exceeded,
       std::string(what) + " is " + std::to_string(value) + ", expected 1 to " + std::to_string(limit), "architecture");
}

}  // namespace

ResNetShape make_shape(const ResNetArgs& args) {
  check_size(static_cast<std::int64_t>(args.layers.size()), max_stages, "the number of stages");
  for (const std::int64_t value : {args.cardinality, args.base_width, args.stem_width, args.squeeze_ratio,
                                   args.squeeze_divisor, args.block_reduce_first, args.plain_stem}) {
    check_size(value, max_channels, "a width");
  }
  ResNetShape shape;
  shape.bottleneck = args.bottleneck;
  shape.preactivation = shape.final_norm = args.preactivation;
  const std::int64_t w = args.stem_width;
  shape.stem = args.stem_type == StemType::plain  ? std::vector<std::int64_t>{args.plain_stem}
               : args.stem_type == StemType::deep ? std::vector<std::int64_t>{w, w, 2 * w}
                                                  : std::vector<std::int64_t>{3 * (w / 4), w, 2 * w};
  shape.stem_kernel = args.stem_type == StemType::plain ? 7 : 3;
  shape.stem_pool = args.stem_pool;
  shape.average_down = args.avg_down;
  shape.anti_alias = args.anti_alias;
  shape.attention = args.attention;
  shape.stride_in_1x1 = args.stride_in_1x1;
  shape.relu_before_attention = args.relu_before_attention;

  std::int64_t channels = shape.stem.back();
  for (std::size_t stage = 0; stage < args.layers.size(); ++stage) {
    check_size(args.layers[stage], max_blocks, "the number of blocks");
    const std::int64_t planes = stage < args.channels.size() ? args.channels[stage] : std::int64_t{64} << stage;
    check_size(planes, max_channels, "the number of channels");
    BlockShape block;
    block.out = planes * (args.bottleneck ? 4 : 1);
    block.width2 = args.bottleneck ? planes * args.base_width / 64 * args.cardinality : block.out;
    block.width1 = (args.bottleneck ? block.width2 : planes) / args.block_reduce_first;
    block.groups = args.bottleneck ? args.cardinality : 1;
    for (const std::int64_t value : {block.out, block.width1, block.width2}) {
      check_size(value, max_channels * 4, "the number of channels");
    }
    if (args.attention == Attention::squeeze_excite) {
      block.squeeze = squeeze_channels(block.out, args.squeeze_ratio, args.squeeze_divisor);
    }
    if (args.attention == Attention::efficient_channel) block.squeeze = attention_kernel(block.out);
    shape.stages.emplace_back(static_cast<std::size_t>(args.layers[stage]), block);
    const bool projected = shape.stride(stage) != 1 || channels != block.out;
    // timm's v2 bottlenecks project in every stage, its basic blocks where they must.
    if (projected || (args.preactivation && args.bottleneck)) {
      shape.stages.back().front().projection = shape.stride(stage) == 1 ? 1 : args.down_kernel_size;
    }
    channels = block.out;
  }
  return shape;
}

std::string describe(const ResNetShape& shape) {
  std::string text = shape.preactivation ? "pre-activation " : "";
  text += std::string(shape.bottleneck ? "bottleneck blocks (conv3 exists) " : "basic blocks (no conv3) ") +
          joined(block_counts(shape));
  if (shape.stem.size() > 1) {
    text += ", deep stem " + joined(shape.stem);
  } else if (shape.stem_kernel != 7) {
    text += ", " + std::to_string(shape.stem_kernel) + 'x' + std::to_string(shape.stem_kernel) + " stem of stride " +
            std::to_string(shape.stem_stride);
  }
  if (const std::string pool = pool_text(shape); !pool.empty()) text += ", " + pool;
  if (shape.bottleneck) {
    const BlockShape& block = shape.stages.front().front();
    text += ", groups " + std::to_string(block.groups) + " of width " + std::to_string(block.width2 / block.groups);
    if (shape.stride_in_1x1) text += ", stride in the first 1x1";
  }
  if (shape.stride_in_first_stage) text += ", stride 2 in the first stage";
  if (shape.average_down) text += ", pooled shortcuts";
  if (shape.attention == Attention::squeeze_excite) text += ", squeeze-and-excitation";
  if (shape.attention == Attention::efficient_channel) text += ", efficient channel attention";
  if (shape.anti_alias == AntiAlias::blur) text += ", blur pools";
  if (shape.anti_alias == AntiAlias::average) text += ", average pools against aliasing";
  if (!shape.hidden.empty()) {
    text += ", a head of " + std::to_string(shape.hidden.size() + 1) + " dense layers with ReLU between";
  }
  if (!shape.head_bias) text += ", a classifier without bias";
  if (shape.block_bias) text += ", convolutions with biases";
  if (shape.input_channels != 3)
    text += ", " + std::to_string(shape.input_channels) +
            (shape.input_channels == 1 ? " input channel" : " input channels");
  return text;
}

std::string difference(const ResNetShape& expected, const ResNetShape& found) {
  const auto counts = [&](const auto& get) { return std::pair(joined(get(expected)), joined(get(found))); };
  const auto blocks = counts(block_counts);
  if (expected.bottleneck != found.bottleneck) {
    return std::string("it has ") + (expected.bottleneck ? "bottleneck" : "basic") +
           " blocks, the tensors are those of " + (found.bottleneck ? "bottleneck" : "basic") + " blocks";
  }
  if (blocks.first != blocks.second) return "it has " + blocks.first + " blocks, the tensors " + blocks.second;
  if (expected.preactivation != found.preactivation) {
    return std::string("it is ") + (expected.preactivation ? "" : "no ") + "pre-activation net, unlike the tensors";
  }
  if (expected.stem != found.stem)
    return "its stem is " + joined(expected.stem) + " wide, the tensors' " + joined(found.stem);
  if (expected.attention != found.attention) return "the tensors have another attention module";
  if (expected.average_down != found.average_down) return "the tensors have other shortcuts";
  if (expected.stages != found.stages) return "the tensors have other widths or groups";
  if (expected.stem_pool != found.stem_pool) return "the tensors have another stem pool";
  return {};
}

}  // namespace resnet::convert
