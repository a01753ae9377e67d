// Convolution in many groups of few channels (ResNeXt): C / groups and K / groups are multiples of 4, and small. fp32
// products and sums over f32, f16 or bf16 storage. A tile for one group would leave most of itself empty.
//
// Tile: a block of 256 threads takes as many whole groups as give at most 64 output channels. A thread makes 4
// neighbouring output channels (of one group) of 4 output positions: for 4 input channels of a tap, 4 vector loads of
// inputs and 4 shared loads feed 64 FFMA. Neighbouring threads have neighbouring channels, so a block reads whole rows
// of up to 64 channels. Windows overlap in L1.
//
// Shared memory: the block's filters, converted to fp32 once, [R S][C / groups][block channels]: 9 KB for 32x4d, 36 KB
// at most for ResNeXt; 48 KB is the limit.
//
// Budget: conv_grouped_kernel 80 registers, 49152 bytes of shared memory
#include "base/checked.hpp"
#include "kernels/device/divider.hpp"
#include "kernels/device/thread.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/refusals.hpp"
#include "kernels/weight_packs.hpp"

namespace resnet::kernels {
namespace {

constexpr int threads = 256, quad = 4, positions = 4;
constexpr std::int64_t most_block_channels = 64, most_filter_bytes = 48 * 1024;

struct Params {
  const void* x;
  const void* weight;
  dev::Epilogue epilogue;
  std::int64_t output_positions;  // N P Q
  std::int64_t C, K;
  int H, W, S, taps, group_c, group_k;
  int block_channels, row_threads;  ///< threads along the positions
  int stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
  dev::Divider by_channel_blocks, by_columns, by_block_channels, by_group_k;
  dev::WideDivider by_positions, by_Q;
  bool vectors;
};

template <class T>
RESNET_KERNEL(threads, 3)
conv_grouped_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  const int depth = p.taps * p.group_c;
  float* const filters = arena.template allocate<float>(static_cast<unsigned>(depth * p.block_channels));
  const int thread = static_cast<int>(dev::thread_index());
  int position_block, channel_block;
  p.by_channel_blocks.split(static_cast<int>(dev::block_index().x), position_block, channel_block);
  const std::int64_t first_k = std::int64_t{channel_block} * p.block_channels;
  const auto* const weight = static_cast<const T*>(p.weight);
  for (int i = thread; i < depth * p.block_channels; i += threads) {
    int row, column;
    p.by_block_channels.split(i, row, column);
    const std::int64_t k = first_k + column;
    filters[i] = k < p.K ? dev::to_float(weight[k * depth + row]) : 0.0f;
  }
  dev::sync_threads();

  int row_thread, column_thread;
  p.by_columns.split(thread, row_thread, column_thread);
  const std::int64_t k = first_k + column_thread * quad;
  if (row_thread >= p.row_threads || k >= p.K) return;
  const std::int64_t first_c = std::int64_t{p.by_group_k.quotient(static_cast<int>(k))} * p.group_c;
  const auto* const x = static_cast<const T*>(p.x);

  const std::int64_t first = (std::int64_t{position_block} * p.row_threads + row_thread) * positions;
  std::int64_t image[positions];
  int top[positions], left[positions];
  RESNET_UNROLL
  for (int i = 0; i < positions; ++i) {
    image[i] = 0;
    top[i] = p.H, left[i] = p.W;  // outside
    if (first + i >= p.output_positions) continue;
    std::int64_t n, rest, output_p, output_q;
    p.by_positions.split(first + i, n, rest);
    p.by_Q.split(rest, output_p, output_q);
    image[i] = n * p.H * p.W * p.C + first_c;
    top[i] = static_cast<int>(output_p) * p.stride_h - p.pad_top;
    left[i] = static_cast<int>(output_q) * p.stride_w - p.pad_left;
  }

  float sums[positions][quad] = {};
  const float* filter = filters + column_thread * quad;
  int r = 0, s = 0;
  RESNET_NO_UNROLL
  for (int tap = 0; tap < p.taps; ++tap) {
    std::int64_t offsets[positions];
    RESNET_UNROLL
    for (int i = 0; i < positions; ++i) {
      const int h = top[i] + r * p.dilation_h, w = left[i] + s * p.dilation_w;
      const bool inside = h >= 0 && h < p.H && w >= 0 && w < p.W;
      offsets[i] = inside ? image[i] + (static_cast<std::int64_t>(h) * p.W + w) * p.C : -1;
    }
    if (++s == p.S) s = 0, ++r;
    RESNET_NO_UNROLL
    for (int c = 0; c < p.group_c; c += quad) {
      float values[positions][quad];
      RESNET_UNROLL
      for (int i = 0; i < positions; ++i) {
        RESNET_UNROLL
        for (int j = 0; j < quad; ++j) values[i][j] = 0;
        if (offsets[i] >= 0) dev::load_elements<T>(values[i], x, offsets[i] + c, quad, p.vectors);
      }
      RESNET_UNROLL
      for (int l = 0; l < quad; ++l) {
        float weights[quad];
        dev::detail::unpack<float>(dev::load16(filter), weights, 0);
        filter += p.block_channels;
        RESNET_UNROLL
        for (int i = 0; i < positions; ++i) {
          RESNET_UNROLL
          for (int j = 0; j < quad; ++j) sums[i][j] = fmaf(values[i][l], weights[j], sums[i][j]);
        }
      }
    }
  }
  RESNET_UNROLL
  for (int i = 0; i < positions; ++i) {
    if (first + i < p.output_positions) dev::finish_and_store(p.epilogue, sums[i], k, (first + i) * p.K + k, quad);
  }
}

std::int64_t group_bytes(const ConvProblem& p) {
  return p.K / p.groups * (p.C / p.groups) * p.R * p.S * static_cast<std::int64_t>(sizeof(float));
}

std::int64_t groups_per_block(const ConvProblem& p) {
  const std::int64_t group_k = p.K / p.groups;
  return std::max<std::int64_t>(std::min({most_block_channels / group_k, most_filter_bytes / group_bytes(p), p.groups}),
                                1);
}

std::int64_t block_channels(const ConvProblem& p) { return groups_per_block(p) * (p.K / p.groups); }
std::int64_t rows(const ConvProblem& p) { return threads / (block_channels(p) / quad); }
std::int64_t blocks(const ConvProblem& p) {
  return div_up(p.K, block_channels(p)) * div_up(p.N * p.P * p.Q, rows(p) * positions);
}

Support supports(const ConvProblem& p, const DeviceInfo&) {
  const std::int64_t group_c = p.C / p.groups, group_k = p.K / p.groups;
  if (p.groups < 2) return Support::no("groups must be at least 2");
  if (group_c % quad != 0) return Support::no("C / groups must be a multiple of 4, is " + std::to_string(group_c));
  if (group_k % quad != 0) return Support::no("K / groups must be a multiple of 4, is " + std::to_string(group_k));
  if (group_k > most_block_channels) {
    return Support::no("K / groups must be at most 64, is " + std::to_string(group_k));
  }
  if (const Support types = needs_float(p.in, p.out); !types) return types;
  if (const Support precision = needs_float_precision(p.precision); !precision) return precision;
  if (const Support window = needs_31_bit_window(p); !window) return window;
  if (group_c > most_filter_bytes || p.R * p.S > most_filter_bytes || group_bytes(p) > most_filter_bytes) {
    return Support::no("the filter of one group must fit into 48 KB as f32, is " + std::to_string(group_c) + " x " +
                       std::to_string(p.R) + " x " + std::to_string(p.S) + " x " + std::to_string(group_k));
  }
  if (const Support bits = needs_31_bits(p.K, "K"); !bits) return bits;
  return needs_31_bits(blocks(p), "the number of blocks");
}

double estimate_us(const ConvProblem& p, const DeviceInfo& device) {
  const double macs_per_block =
      static_cast<double>(block_channels(p) * rows(p) * positions * p.R * p.S) * static_cast<double>(p.C / p.groups);
  return tiled_us(device, Precision::fp32, static_cast<double>(blocks(p)), macs_per_block, 3, 0.45, least_bytes(p));
}

cudaError_t launch(const ConvProblem& problem, const Operands& operands, const LaunchTarget& target) {
  Params p = {};
  p.x = operands.x;
  p.weight = operands.weight;
  p.epilogue = make_epilogue(problem.epilogue, problem.out, operands);
  p.output_positions = problem.N * problem.P * problem.Q;
  p.C = problem.C, p.K = problem.K;
  p.H = static_cast<int>(problem.H), p.W = static_cast<int>(problem.W);
  p.S = static_cast<int>(problem.S), p.taps = static_cast<int>(problem.R * problem.S);
  p.group_c = static_cast<int>(problem.C / problem.groups), p.group_k = static_cast<int>(problem.K / problem.groups);
  p.block_channels = static_cast<int>(block_channels(problem));
  p.row_threads = static_cast<int>(rows(problem));
  p.stride_h = static_cast<int>(problem.stride_h), p.stride_w = static_cast<int>(problem.stride_w);
  p.pad_top = static_cast<int>(problem.pad_top), p.pad_left = static_cast<int>(problem.pad_left);
  p.dilation_h = static_cast<int>(problem.dilation_h), p.dilation_w = static_cast<int>(problem.dilation_w);
  p.by_channel_blocks = dev::Divider(div_up(problem.K, p.block_channels));
  p.by_columns = dev::Divider(p.block_channels / quad);
  p.by_block_channels = dev::Divider(p.block_channels);
  p.by_group_k = dev::Divider(p.group_k);
  p.by_positions = dev::WideDivider(problem.P * problem.Q);
  p.by_Q = dev::WideDivider(problem.Q);
  p.vectors = is_aligned(operands.x, 16);
  LaunchShape shape;
  shape.blocks_x = static_cast<unsigned>(blocks(problem));
  shape.threads = threads;
  shape.shared_bytes = sizeof(float) * static_cast<std::size_t>(p.taps * p.group_c * p.block_channels);
  return with_float_type(problem.in, [&]<class T>() {
    return launch_kernel("conv_grouped", conv_grouped_kernel<T>, shape, target.stream, p);
  });
}

}  // namespace

extern constinit const Kernel conv_grouped =
    make_kernel<ConvProblem, supports, estimate_us, no_workspace<ConvProblem>, launch>("conv_grouped", plain_weights);

}  // namespace resnet::kernels
