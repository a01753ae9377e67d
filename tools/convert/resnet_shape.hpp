#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace resnet::convert {

enum class Attention : std::uint8_t { none, squeeze_excite, efficient_channel };
/// What takes the stride of a block's 3x3 (and of the stem's pool) instead of it.
enum class AntiAlias : std::uint8_t { none, blur, average };
enum class StemPool : std::uint8_t {
  max,       ///< 3x3, stride 2, padded by 1
  max_ceil,  ///< 3x3, stride 2, unpadded, size rounded up (the first SENets)
  conv,      ///< 3x3 convolution of stride 2, batch norm, ReLU (ResNet-RS)
  none,      ///< CIFAR nets
};

/// One residual block: what its tensors show.
struct BlockShape {
  std::int64_t width1 = 0;      ///< channels behind conv1
  std::int64_t width2 = 0;      ///< channels behind conv2; of a basic block: `out`
  std::int64_t out = 0;         ///< channels of the block
  std::int64_t groups = 1;      ///< of the bottleneck's 3x3
  std::int64_t projection = 0;  ///< kernel of the shortcut's convolution, 0 for a shortcut without one
  std::int64_t squeeze = 0;     ///< channels inside squeeze-and-excitation, or kernel of efficient channel attention
  bool operator==(const BlockShape&) const = default;
};

/// A dense layer of the head.
struct DenseShape {
  std::int64_t out = 0;
  bool bias = true;
  bool operator==(const DenseShape&) const = default;
};

/// Everything that distinguishes one ResNet from another. The first block of a stage carries its stride.
struct ResNetShape {
  bool bottleneck = false;
  bool preactivation = false;      ///< batch norm and ReLU before each convolution (v2)
  bool final_norm = false;         ///< batch norm and ReLU behind the last block (v2)
  std::vector<std::int64_t> stem;  ///< channels behind each convolution: one, or three 3x3 ("deep")
  std::int64_t stem_kernel = 7;
  std::int64_t stem_stride = 2;
  StemPool stem_pool = StemPool::max;
  std::vector<std::vector<BlockShape>> stages;
  bool stride_in_first_stage = false;
  bool stride_in_1x1 = false;  ///< of a bottleneck: v1; otherwise in the 3x3 (v1.5)
  bool average_down = false;   ///< shortcuts pool 2x2 and project with stride 1 ("d")
  AntiAlias anti_alias = AntiAlias::none;
  Attention attention = Attention::none;
  bool relu_before_attention = false;  ///< and after it none, before the addition (basic blocks of the first SENets)
  bool stem_bias = false, block_bias = false, projection_bias = false;  ///< of the convolutions
  bool squeeze_bias = true;        ///< of squeeze-and-excitation's two dense layers
  std::vector<DenseShape> hidden;  ///< the head's layers before the classifier, each with a ReLU behind it
  bool head_bias = true;           ///< of the classifier
  std::int64_t input_channels = 3;
  std::int64_t classes = 1000;
  std::int64_t input_size = 224;  ///< the size to state in the model file; any other works too
  bool operator==(const ResNetShape&) const = default;

  std::int64_t features() const { return stages.back().back().out; }
  /// The first block projects although the channels stay: such blocks usually stride, but no tensor says so.
  bool projects_equal_width() const {
    return stages.front().front().projection > 0 && stages.front().front().out == stem.back();
  }
  /// Of the first block of stage `stage`.
  std::int64_t stride(std::size_t stage) const { return stage > 0 || stride_in_first_stage ? 2 : 1; }
};

enum class StemType : std::uint8_t { plain, deep, tiered };

/// The arguments from which torchvision and timm build a ResNet, under timm's names.
struct ResNetArgs {
  bool bottleneck = false;
  std::vector<std::int64_t> layers;  ///< blocks per stage
  std::int64_t cardinality = 1, base_width = 64;
  StemType stem_type = StemType::plain;
  std::int64_t stem_width = 64;
  bool avg_down = false;
  Attention attention = Attention::none;
  std::int64_t squeeze_ratio = 16, squeeze_divisor = 8;
  AntiAlias anti_alias = AntiAlias::none;
  StemPool stem_pool = StemPool::max;
  std::int64_t block_reduce_first = 1, down_kernel_size = 1;
  bool preactivation = false;
  bool stride_in_1x1 = false, relu_before_attention = false;
  std::vector<std::int64_t> channels;  ///< per stage before expansion; empty: 64, 128, ...
  std::int64_t plain_stem = 64;        ///< channels of a stem of one convolution
};

/// @throws Error limit_exceeded for sizes that no network has
ResNetShape make_shape(const ResNetArgs& args);

/// "bottleneck blocks 3,4,6,3, deep stem 32,32,64, ..." : what names, shapes or options decided.
std::string describe(const ResNetShape& shape);

/// Where two shapes differ, in words, or nothing.
std::string difference(const ResNetShape& expected, const ResNetShape& found);

/// Beyond these no classifier is meant, and all sums stay far from 64 bits.
inline constexpr std::int64_t max_channels = 65'536, max_classes = 10'000'000;
inline constexpr std::size_t max_stages = 8;
inline constexpr std::int64_t max_blocks = 1000;  ///< per stage

}  // namespace resnet::convert
