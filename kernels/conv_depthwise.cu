// Depthwise convolution: every group has one input channel and K / C output channels. fp32 products and sums over f32,
// f16 or bf16 storage.
//
// Tile: a block of 256 threads makes 64 neighbouring output channels of 128 neighbouring output positions: 8 threads
// side by side take 8 channels each, 32 rows of threads take 4 positions each, one after another. A tap costs a thread
// one 16-byte load of 8 inputs (two for f32) and two shared loads. Windows overlap in L1. Vectors need one output
// channel per input channel, C a multiple of 8 (4 for f32) and aligned addresses; the rest goes element by element.
//
// Shared memory: the block's filters, converted to fp32 once, [R S][64]: 2.3 KB for 3x3, 36 KB at most.
//
// Budget: conv_depthwise_kernel 64 registers, 36864 bytes of shared memory
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

constexpr int threads = 256, count = 8;
constexpr int block_channels = 64, column_threads = block_channels / count, row_threads = threads / column_threads;
constexpr int thread_positions = 4, block_positions = row_threads * thread_positions;
constexpr std::int64_t most_taps = 144;  // 36 KB of filters

struct Params {
  const void* x;
  const void* weight;
  dev::Epilogue epilogue;
  std::int64_t output_positions;  // N P Q
  std::int64_t C, K;
  int H, W, S, taps;
  int stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
  dev::Divider by_channel_blocks, by_multiplier;
  dev::WideDivider by_positions, by_Q;
  bool vectors;
  bool one_to_one;  ///< K = C
};

template <class T>
RESNET_KERNEL(threads, 4)
conv_depthwise_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const filters = arena.template allocate<float>(static_cast<unsigned>(p.taps * block_channels));
  const int thread = static_cast<int>(dev::thread_index());
  int position_block, channel_block;
  p.by_channel_blocks.split(static_cast<int>(dev::block_index().x), position_block, channel_block);
  const int first_k = channel_block * block_channels;
  const auto* const weight = static_cast<const T*>(p.weight);
  for (int i = thread; i < p.taps * block_channels; i += threads) {
    const int k = first_k + i % block_channels;
    filters[i] = k < p.K ? dev::to_float(weight[std::int64_t{k} * p.taps + i / block_channels]) : 0.0f;
  }
  dev::sync_threads();

  const int k = first_k + thread % column_threads * count;
  const int valid = p.K - k < count ? static_cast<int>(p.K - k) : count;
  if (valid <= 0) return;
  const float* const own_filters = filters + thread % column_threads * count;
  std::int64_t position = std::int64_t{position_block} * block_positions + thread / column_threads;
  RESNET_NO_UNROLL
  for (int step = 0; step < thread_positions && position < p.output_positions; ++step, position += row_threads) {
    std::int64_t n, rest, output_p, output_q;
    p.by_positions.split(position, n, rest);
    p.by_Q.split(rest, output_p, output_q);
    const int top = static_cast<int>(output_p) * p.stride_h - p.pad_top;
    const int left = static_cast<int>(output_q) * p.stride_w - p.pad_left;
    float sums[count] = {};
    int r = 0, s = 0;
    RESNET_NO_UNROLL
    for (int tap = 0; tap < p.taps; ++tap) {
      const int h = top + r * p.dilation_h, w = left + s * p.dilation_w;
      if (++s == p.S) s = 0, ++r;
      if (h < 0 || h >= p.H || w < 0 || w >= p.W) continue;
      const std::int64_t offset = ((n * p.H + h) * p.W + w) * p.C;
      float values[count];
      if (p.one_to_one) {
        dev::load_elements<T>(values, p.x, offset + k, valid, p.vectors);
      } else {
        RESNET_UNROLL
        for (int i = 0; i < count; ++i) {
          const std::int64_t c = p.by_multiplier.quotient(k + i);
          values[i] = i < valid ? dev::to_float(static_cast<const T*>(p.x)[offset + c]) : 0.0f;
        }
      }
      float weights[count];
      const float* const tap_filters = own_filters + tap * block_channels;
      dev::detail::unpack<float>(dev::load16(tap_filters), weights, 0);
      dev::detail::unpack<float>(dev::load16(tap_filters + 4), weights, 4);
      RESNET_UNROLL
      for (int i = 0; i < count; ++i) sums[i] = fmaf(values[i], weights[i], sums[i]);
    }
    dev::finish_and_store(p.epilogue, sums, k, position * p.K + k, valid);
  }
}

std::int64_t blocks(const ConvProblem& p) {
  return div_up(p.K, block_channels) * div_up(p.N * p.P * p.Q, block_positions);
}

Support supports(const ConvProblem& p, const DeviceInfo&) {
  if (p.groups != p.C)
    return Support::no("groups must be C = " + std::to_string(p.C) + ", is " + std::to_string(p.groups));
  if (const Support types = needs_float(p.in, p.out); !types) return types;
  if (const Support precision = needs_float_precision(p.precision); !precision) return precision;
  if (p.R * p.S > most_taps) {
    return Support::no("R S must be at most " + std::to_string(most_taps) + ", is " + std::to_string(p.R * p.S));
  }
  if (const Support sizes = needs_31_bit_window(p); !sizes) return sizes;
  if (const Support bits = needs_31_bits(p.K + count, "K + 8"); !bits) return bits;
  return needs_31_bits(blocks(p), "the number of blocks");
}

double estimate_us(const ConvProblem& p, const DeviceInfo& device) {
  const double macs = static_cast<double>(p.macs());
  // A tap costs about 3 instructions per product: conversion, shared loads, addresses.
  return std::max(streaming_us(device, least_bytes(p)), launch_us + 3 * macs / macs_per_us(device, Precision::fp32));
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
  p.stride_h = static_cast<int>(problem.stride_h), p.stride_w = static_cast<int>(problem.stride_w);
  p.pad_top = static_cast<int>(problem.pad_top), p.pad_left = static_cast<int>(problem.pad_left);
  p.dilation_h = static_cast<int>(problem.dilation_h), p.dilation_w = static_cast<int>(problem.dilation_w);
  p.by_channel_blocks = dev::Divider(div_up(problem.K, block_channels));
  p.by_multiplier = dev::Divider(problem.K / problem.C);
  p.by_positions = dev::WideDivider(problem.P * problem.Q);
  p.by_Q = dev::WideDivider(problem.Q);
  p.vectors = is_aligned(operands.x, 16);
  p.one_to_one = problem.K == problem.C;
  LaunchShape shape;
  shape.blocks_x = static_cast<unsigned>(blocks(problem));
  shape.threads = threads;
  shape.shared_bytes = sizeof(float) * static_cast<std::size_t>(p.taps * block_channels);
  return with_float_type(problem.in, [&]<class T>() {
    return launch_kernel("conv_depthwise", conv_depthwise_kernel<T>, shape, target.stream, p);
  });
}

}  // namespace

extern constinit const Kernel conv_depthwise =
    make_kernel<ConvProblem, supports, estimate_us, no_workspace<ConvProblem>, launch>("conv_depthwise", plain_weights);

}  // namespace resnet::kernels
