// Adaptive average pooling: output (p,q) is the mean of rows floor(p H / P) ... ceil((p + 1) H / P) - 1 and the same
// columns; P = Q = 1 is the global average. In fp32. The entry that takes every one.
//
// Tile: a block makes `items` = 256 / slices neighbouring outputs of 8 channels each. The positions of a bin are dealt
// out to `slices` threads in turn, so that few outputs still fill the device: 32 for large bins, 1 for bins of a few
// positions. Neighbouring threads read neighbouring channels in 16-byte vectors.
//
// Shared memory: the slices' sums, [slices][items][8] f32, 8 KB. They are added pairwise, always in the same order.
//
// Budget: adaptive_pool_kernel 80 registers, 8192 bytes of shared memory
#include "base/checked.hpp"
#include "kernels/device/divider.hpp"
#include "kernels/device/thread.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/refusals.hpp"
#include "kernels/streaming.hpp"

namespace resnet::kernels {
namespace {

constexpr int threads = 256, count = item_elements;
constexpr int ahead = 3;  // loads in flight per thread

struct Params {
  const void* x;
  void* y;
  std::int64_t items, H, W, C, P, Q;
  int slices, block_items;  ///< product = threads, powers of two
  dev::WideDivider by_chunks, by_Q, by_P;
  DType in, out;
  bool x_vectors, y_vectors;
};

/// Positions [first, end) of output i of `outputs` over `inputs`.
struct Bin {
  std::int64_t first, end;
};
RESNET_DEVICE Bin bin_of(std::int64_t i, std::int64_t inputs, std::int64_t outputs) {
  return {i * inputs / outputs, ((i + 1) * inputs + outputs - 1) / outputs};
}

RESNET_KERNEL(threads, 3) adaptive_pool_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const partial = arena.allocate<float>(threads * count);
  const int thread = static_cast<int>(dev::thread_index());
  const int slice = thread / p.block_items;
  for (std::int64_t first = std::int64_t{dev::block_index().x} * p.block_items; first < p.items;
       first += std::int64_t{dev::grid_size().x} * p.block_items) {
    const std::int64_t item = first + thread % p.block_items;
    float sums[count] = {};
    std::int64_t position = 0, chunk = 0;
    float divisor = 1;
    int valid = 0;
    if (item < p.items) {
      std::int64_t row, n, output_p, output_q;
      p.by_chunks.split(item, position, chunk);
      p.by_Q.split(position, row, output_q);
      p.by_P.split(row, n, output_p);
      valid = p.C - chunk * count < count ? static_cast<int>(p.C - chunk * count) : count;
      const Bin rows = bin_of(output_p, p.H, p.P), columns = bin_of(output_q, p.W, p.Q);
      const std::int64_t width = columns.end - columns.first;
      divisor = static_cast<float>((rows.end - rows.first) * width);
      std::int64_t h = rows.first, w = columns.first + slice;
      const std::int64_t image = n * p.H * p.W;
      while (true) {
        std::int64_t offsets[ahead];
        RESNET_UNROLL
        for (int j = 0; j < ahead; ++j, w += p.slices) {
          while (w >= columns.end && h < rows.end) w -= width, ++h;
          offsets[j] = h < rows.end ? (image + h * p.W + w) * p.C + chunk * count : -1;
        }
        if (offsets[0] < 0) break;
        float values[ahead][count] = {};
        RESNET_UNROLL
        for (int j = 0; j < ahead; ++j) {
          if (offsets[j] >= 0) dev::load_elements(values[j], p.in, p.x, offsets[j], valid, p.x_vectors);
        }
        RESNET_UNROLL
        for (int j = 0; j < ahead; ++j) {
          RESNET_UNROLL
          for (int i = 0; i < count; ++i) sums[i] += values[j][i];
        }
      }
    }
    float* const own = partial + thread * count;
    for (int half = p.slices / 2; half > 0; half /= 2) {
      // The upper half hands over, the lower half adds.
      if (slice >= half && slice < 2 * half) {
        dev::store16(own, dev::detail::pack<float>(sums, 0));
        dev::store16(own + 4, dev::detail::pack<float>(sums, 4));
      }
      dev::sync_threads();
      if (slice < half) {
        const float* const other = own + half * p.block_items * count;
        float values[count];
        dev::detail::unpack<float>(dev::load16(other), values, 0);
        dev::detail::unpack<float>(dev::load16(other + 4), values, 4);
        RESNET_UNROLL
        for (int i = 0; i < count; ++i) sums[i] += values[i];
      }
    }
    if (slice == 0 && valid > 0) {
      RESNET_UNROLL
      for (int i = 0; i < count; ++i) sums[i] /= divisor;
      dev::store_elements(sums, p.out, p.y, position * p.C + chunk * count, valid, p.y_vectors);
    }
    if (p.slices > 1) dev::sync_threads();  // the next items use the same memory
  }
}

Support supports(const AdaptivePoolProblem& p, const DeviceInfo&) { return needs_float(p.in, p.out); }

double estimate_us(const AdaptivePoolProblem& p, const DeviceInfo& device) {
  const double images = static_cast<double>(p.N) * static_cast<double>(p.C);
  const double input = static_cast<double>(p.H * p.W) * static_cast<double>(size_of(p.in));
  const double output = static_cast<double>(p.P * p.Q) * static_cast<double>(size_of(p.out));
  return streaming_us(device, images * (input + output));
}

cudaError_t launch(const AdaptivePoolProblem& problem, const Operands& operands, const LaunchTarget& target) {
  Params p = {};
  p.x = operands.x;
  p.y = operands.y;
  p.H = problem.H, p.W = problem.W, p.C = problem.C, p.P = problem.P, p.Q = problem.Q;
  const std::int64_t chunks = div_up(problem.C, count);
  p.items = problem.N * problem.P * problem.Q * chunks;
  p.by_chunks = dev::WideDivider(chunks);
  p.by_Q = dev::WideDivider(problem.Q);
  p.by_P = dev::WideDivider(problem.P);
  p.in = problem.in;
  p.out = problem.out;
  p.x_vectors = is_aligned(operands.x, 16);
  p.y_vectors = is_aligned(operands.y, 16);
  // Two positions per slice at least.
  const std::int64_t bin = div_up(problem.H, problem.P) * div_up(problem.W, problem.Q);
  p.slices = 1;
  while (p.slices < 32 && p.slices * 4 <= bin) p.slices *= 2;
  p.block_items = threads / p.slices;
  LaunchShape shape;
  shape.blocks_x = streaming_blocks(p.items * p.slices, threads, 8, *target.device);
  shape.threads = threads;
  shape.shared_bytes = sizeof(float) * threads * count;
  return launch_kernel("adaptive_pool", adaptive_pool_kernel, shape, target.stream, p);
}

}  // namespace

extern constinit const Kernel adaptive_pool =
    make_kernel<AdaptivePoolProblem, supports, estimate_us, no_workspace<AdaptivePoolProblem>, launch>("adaptive_pool");

}  // namespace resnet::kernels
