// Max and average pooling over windows, in fp32. The entry that takes every one.
//
// Tile: a thread makes 8 consecutive channels of one output position at a time, a grid apart, and has 3 columns of the
// window in flight (512 threads per multiprocessor cover the latency so); neighbouring threads read
// neighbouring channels in 16-byte vectors where C is a multiple of 8 (4 for f32). Windows overlap in L1 and L2 only:
// a 3x3 window of stride 2 reads each value 2.25 times from there and once from memory. No shared memory.
//
// Maximum: outside the input counts as -infinity, NaN wins. Average: rows, then columns, as the reference adds them.
//
// Budget: pool_kernel 112 registers
#include "base/checked.hpp"
#include "kernels/device/divider.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/refusals.hpp"
#include "kernels/streaming.hpp"

namespace resnet::kernels {
namespace {

constexpr int threads = 256, blocks = 2, count = item_elements;
constexpr int ahead = 3;  // columns of the window in flight per thread

struct Params {
  const void* x;
  void* y;
  std::int64_t items, H, W, C;
  std::int64_t R, S, stride_h, stride_w, pad_top, pad_left, pad_bottom, pad_right;
  dev::WideDivider by_chunks, by_Q, by_P;
  DType type;
  bool include_pad;
  bool x_vectors, y_vectors;
};

template <bool max>
RESNET_KERNEL(threads, blocks)
pool_kernel(RESNET_PARAMS(Params) p) {
  for (std::int64_t item = first_item(); item < p.items; item += item_stride()) {
    std::int64_t position, chunk, row, output_q, n, output_p;
    p.by_chunks.split(item, position, chunk);
    p.by_Q.split(position, row, output_q);
    p.by_P.split(row, n, output_p);
    const std::int64_t c = chunk * count;
    const int valid = p.C - c < count ? static_cast<int>(p.C - c) : count;
    const std::int64_t top = output_p * p.stride_h - p.pad_top, left = output_q * p.stride_w - p.pad_left;
    const std::int64_t first_h = top < 0 ? 0 : top, end_h = top + p.R < p.H ? top + p.R : p.H;
    const std::int64_t first_w = left < 0 ? 0 : left, end_w = left + p.S < p.W ? left + p.S : p.W;
    float result[count];
    RESNET_UNROLL
    for (int i = 0; i < count; ++i) result[i] = max ? -INFINITY : 0.0f;
    RESNET_NO_UNROLL
    for (std::int64_t h = first_h; h < end_h; ++h) {
      std::int64_t offset = ((n * p.H + h) * p.W + first_w) * p.C + c;
      RESNET_NO_UNROLL
      for (std::int64_t w = first_w; w < end_w; w += ahead, offset += ahead * p.C) {
        float loaded[ahead][count];
        RESNET_UNROLL
        for (int j = 0; j < ahead; ++j) {
          if (w + j < end_w) dev::load_elements(loaded[j], p.type, p.x, offset + j * p.C, valid, p.x_vectors);
        }
        RESNET_UNROLL
        for (int j = 0; j < ahead; ++j) {
          if (w + j >= end_w) continue;
          const float(&values)[count] = loaded[j];
          RESNET_UNROLL
          for (int i = 0; i < count; ++i) {
            if constexpr (max) {
              result[i] = dev::max_or_nan(result[i], values[i]);
            } else {
              result[i] += values[i];
            }
          }
        }
      }
    }
    if constexpr (!max) {
      const std::int64_t padded_h = (top + p.R < p.H + p.pad_bottom ? top + p.R : p.H + p.pad_bottom) - top;
      const std::int64_t padded_w = (left + p.S < p.W + p.pad_right ? left + p.S : p.W + p.pad_right) - left;
      const auto divisor =
          static_cast<float>(p.include_pad ? padded_h * padded_w : (end_h - first_h) * (end_w - first_w));
      RESNET_UNROLL
      for (int i = 0; i < count; ++i) result[i] /= divisor;
    }
    dev::store_elements(result, p.type, p.y, position * p.C + c, valid, p.y_vectors);
  }
}

Support supports(const PoolProblem& p, const DeviceInfo&) { return needs_float(p.dtype, "the type"); }

double estimate_us(const PoolProblem& p, const DeviceInfo& device) {
  const double images = static_cast<double>(p.N) * static_cast<double>(p.C) * static_cast<double>(size_of(p.dtype));
  const double input = static_cast<double>(p.H) * static_cast<double>(p.W);
  const double output = static_cast<double>(p.P) * static_cast<double>(p.Q);
  // What the windows read comes from L2 at best twice as fast as from memory.
  const double window_reads = output * static_cast<double>(p.R) * static_cast<double>(p.S) / 2;
  return streaming_us(device, images * (std::max(input, window_reads) + output));
}

cudaError_t launch(const PoolProblem& problem, const Operands& operands, const LaunchTarget& target) {
  Params p = {};
  p.x = operands.x;
  p.y = operands.y;
  p.H = problem.H, p.W = problem.W, p.C = problem.C, p.R = problem.R, p.S = problem.S;
  p.stride_h = problem.stride_h, p.stride_w = problem.stride_w;
  p.pad_top = problem.pad_top, p.pad_left = problem.pad_left;
  p.pad_bottom = problem.pad_bottom, p.pad_right = problem.pad_right;
  const std::int64_t chunks = div_up(problem.C, count);
  p.items = problem.N * problem.P * problem.Q * chunks;
  p.by_chunks = dev::WideDivider(chunks);
  p.by_Q = dev::WideDivider(problem.Q);
  p.by_P = dev::WideDivider(problem.P);
  p.type = problem.dtype;
  p.include_pad = problem.count_include_pad;
  p.x_vectors = is_aligned(operands.x, 16);
  p.y_vectors = is_aligned(operands.y, 16);
  LaunchShape shape;
  shape.blocks_x = streaming_blocks(p.items, threads, blocks, *target.device);
  shape.threads = threads;
  return launch_kernel("pool", problem.max ? pool_kernel<true> : pool_kernel<false>, shape, target.stream, p);
}

}  // namespace

extern constinit const Kernel pool =
    make_kernel<PoolProblem, supports, estimate_us, no_workspace<PoolProblem>, launch>("pool");

}  // namespace resnet::kernels
