// y = e^(x - max x) / sum over the C values of each row, in fp32. The entry that takes every one.
//
// Tile: a warp per row up to 2048 values, else a block of 256 threads; rows a grid apart. Three passes over the row:
// maximum, sum, result; the second and the third read it from L1 or L2. Lanes take 8 consecutive values at a time, in
// 16-byte vectors where the row allows it. A NaN makes its whole row NaN.
//
// Sums are added in a fixed order: within the lane, by a butterfly over the warp, then the warps of the block one by
// one through shared memory (8 f32).
//
// Budget: softmax_kernel 64 registers, 32 bytes of shared memory
#include "kernels/device/thread.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/refusals.hpp"
#include "kernels/streaming.hpp"

namespace resnet::kernels {
namespace {

constexpr int threads = 256, warps = threads / 32, count = item_elements;
constexpr std::int64_t warp_row = 2048;

struct Params {
  const void* x;
  void* y;
  std::int64_t rows, C;
  DType in, out;
  bool x_vectors, y_vectors;
};

struct Sum {
  RESNET_DEVICE static float combine(float a, float b) { return a + b; }
};
struct Max {
  RESNET_DEVICE static float combine(float a, float b) { return fmaxf(a, b); }
};

/// Over the threads of a row; every one of them gets the result.
template <class Operation, bool block_per_row>
RESNET_DEVICE float reduce(float value, float* shared) {
  RESNET_UNROLL
  for (int bits = 16; bits > 0; bits /= 2) value = Operation::combine(value, dev::shuffle_xor(value, bits));
  if constexpr (block_per_row) {
    if (dev::lane() == 0) shared[dev::warp()] = value;
    dev::sync_threads();
    value = shared[0];
    RESNET_UNROLL
    for (int i = 1; i < warps; ++i) value = Operation::combine(value, shared[i]);
    dev::sync_threads();
  }
  return value;
}

template <bool block_per_row>
RESNET_KERNEL(threads, 4)
softmax_kernel(RESNET_PARAMS(Params) p) {
  constexpr int row_threads = block_per_row ? threads : 32;
  dev::SharedArena arena;
  float* shared = nullptr;
  if constexpr (block_per_row) shared = arena.allocate<float>(warps);
  const std::int64_t first_row =
      block_per_row ? std::int64_t{dev::block_index().x} : std::int64_t{dev::block_index().x} * warps + dev::warp();
  const std::int64_t row_stride = std::int64_t{dev::grid_size().x} * (block_per_row ? 1 : warps);
  const std::int64_t first_c = static_cast<std::int64_t>(dev::thread_index() % row_threads) * count;
  for (std::int64_t row = first_row; row < p.rows; row += row_stride) {
    const auto each_item = [&](auto&& function) {
      RESNET_NO_UNROLL
      for (std::int64_t c = first_c; c < p.C; c += row_threads * count) {
        const int valid = p.C - c < count ? static_cast<int>(p.C - c) : count;
        float values[count];
        dev::load_elements(values, p.in, p.x, row * p.C + c, valid, p.x_vectors);
        function(c, valid, values);
      }
    };
    float largest = -INFINITY;
    each_item([&](std::int64_t, int valid, const float(&values)[count]) {
      RESNET_UNROLL
      for (int i = 0; i < count; ++i) largest = i < valid ? fmaxf(largest, values[i]) : largest;
    });
    largest = reduce<Max, block_per_row>(largest, shared);
    float sum = 0;
    each_item([&](std::int64_t, int valid, const float(&values)[count]) {
      RESNET_UNROLL
      for (int i = 0; i < count; ++i) sum += i < valid ? expf(values[i] - largest) : 0.0f;
    });
    sum = reduce<Sum, block_per_row>(sum, shared);
    each_item([&](std::int64_t c, int valid, float(&values)[count]) {
      RESNET_UNROLL
      for (int i = 0; i < count; ++i) values[i] = expf(values[i] - largest) / sum;
      dev::store_elements(values, p.out, p.y, row * p.C + c, valid, p.y_vectors);
    });
  }
}

Support supports(const SoftmaxProblem& p, const DeviceInfo&) { return needs_float(p.in, p.out); }

double estimate_us(const SoftmaxProblem& p, const DeviceInfo& device) {
  const double values = static_cast<double>(p.rows) * static_cast<double>(p.C);
  return streaming_us(device, values * static_cast<double>(size_of(p.in) + size_of(p.out)));
}

cudaError_t launch(const SoftmaxProblem& problem, const Operands& operands, const LaunchTarget& target) {
  Params p = {};
  p.x = operands.x;
  p.y = operands.y;
  p.rows = problem.rows, p.C = problem.C;
  p.in = problem.in, p.out = problem.out;
  p.x_vectors = is_aligned(operands.x, 16);
  p.y_vectors = is_aligned(operands.y, 16);
  LaunchShape shape;
  shape.threads = threads;
  if (problem.C <= warp_row) {
    shape.blocks_x = streaming_blocks(problem.rows * 32, threads, 4, *target.device);
    return launch_kernel("softmax", softmax_kernel<false>, shape, target.stream, p);
  }
  shape.blocks_x = streaming_blocks(problem.rows * threads, threads, 4, *target.device);
  shape.shared_bytes = sizeof(float) * warps;
  return launch_kernel("softmax", softmax_kernel<true>, shape, target.stream, p);
}

}  // namespace

extern constinit const Kernel softmax =
    make_kernel<SoftmaxProblem, supports, estimate_us, no_workspace<SoftmaxProblem>, launch>("softmax");

}  // namespace resnet::kernels
