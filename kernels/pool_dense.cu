// Global average pooling and the dense layer behind it, for few images: y = epilogue(mean over H W of x * w), fp32
// means, products and sums over f32, f16 or bf16 storage. Spares the launch of the pooling and the way of its result
// through memory; every block averages the whole image again, so it is for images that lie in L2.
//
// Tile: a block of 512 threads makes 16 output channels of one image. First the means: each thread adds 8 neighbouring
// channels over its share of the positions; the shares are added in a fixed order in shared memory. Then a warp makes
// one output channel at a time from the means and the filter row, as dense_direct does.
//
// Shared memory: partial sums [shares][C rounded up to 8] f32, whose first row becomes the means; at most 64 KB.
//
// Budget: pool_dense_kernel 96 registers, 65536 bytes of shared memory
#include "base/checked.hpp"
#include "kernels/device/thread.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/refusals.hpp"
#include "kernels/weight_packs.hpp"

namespace resnet::kernels {
namespace {

constexpr int threads = 512, warps = threads / 32, count = 8;
constexpr int block_channels = 16;
constexpr int ahead = 4;  // positions in flight per thread
constexpr std::int64_t most_images = 8, most_channels = 8192, most_image_bytes = 1024 * 1024;
constexpr std::int64_t most_partial_floats = 16 * 1024;

struct Params {
  const void* x;
  const void* weight;
  dev::Epilogue epilogue;
  std::int64_t positions, C, K;
  int chunks;  ///< of 8 channels
  int shares;  ///< of the positions
  int channel_blocks;
  bool x_vectors, weight_vectors;
};

template <class T>
RESNET_KERNEL(threads, 1)
pool_dense_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const means = arena.template allocate<float>(static_cast<unsigned>(p.shares * p.chunks * count));
  const int thread = static_cast<int>(dev::thread_index());
  const std::int64_t n = static_cast<int>(dev::block_index().x) / p.channel_blocks;
  const int channel_block = static_cast<int>(dev::block_index().x) % p.channel_blocks;

  const std::int64_t image = n * p.positions * p.C;
  for (int item = thread; item < p.shares * p.chunks; item += threads) {
    const int share = item / p.chunks, c = item % p.chunks * count;
    const int valid = p.C - c < count ? static_cast<int>(p.C - c) : count;
    float sums[count] = {};
    RESNET_NO_UNROLL
    for (std::int64_t position = share; position < p.positions; position += ahead * p.shares) {
      float values[ahead][count] = {};
      RESNET_UNROLL
      for (int j = 0; j < ahead; ++j) {
        const std::int64_t own = position + j * p.shares;
        if (own < p.positions) dev::load_elements<T>(values[j], p.x, image + own * p.C + c, valid, p.x_vectors);
      }
      RESNET_UNROLL
      for (int j = 0; j < ahead; ++j) {
        RESNET_UNROLL
        for (int i = 0; i < count; ++i) sums[i] += values[j][i];
      }
    }
    dev::store16(means + item * count, dev::detail::pack<float>(sums, 0));
    dev::store16(means + item * count + 4, dev::detail::pack<float>(sums, 4));
  }
  dev::sync_threads();
  const auto positions = static_cast<float>(p.positions);
  for (int c = thread; c < p.chunks * count; c += threads) {
    float sum = means[c];
    for (int share = 1; share < p.shares; ++share) sum += means[share * p.chunks * count + c];
    means[c] = sum / positions;
  }
  dev::sync_threads();

  const std::int64_t first_k = std::int64_t{channel_block} * block_channels;
  for (int i = static_cast<int>(dev::warp()); i < block_channels; i += warps) {
    const std::int64_t k = first_k + i;
    if (k >= p.K) break;
    float sum = 0;
    RESNET_NO_UNROLL
    for (int chunk = static_cast<int>(dev::lane()); chunk < p.chunks; chunk += 32) {
      const int c = chunk * count;
      const int valid = p.C - c < count ? static_cast<int>(p.C - c) : count;
      float weights[count], values[count];
      dev::load_elements<T>(weights, p.weight, k * p.C + c, valid, p.weight_vectors);
      dev::detail::unpack<float>(dev::load16(means + c), values, 0);
      dev::detail::unpack<float>(dev::load16(means + c + 4), values, 4);
      RESNET_UNROLL
      for (int j = 0; j < count; ++j) sum = fmaf(values[j], weights[j], sum);
    }
    const float total[1] = {dev::warp_sum(sum)};
    if (dev::lane() == 0) dev::finish_and_store(p.epilogue, total, k, n * p.K + k, 1);
  }
}

Support supports(const PoolDenseProblem& p, const DeviceInfo&) {
  if (const Support types = needs_float(p.in, p.out); !types) return types;
  if (const Support precision = needs_float_precision(p.precision); !precision) return precision;
  if (p.N > most_images) return Support::no("N must be at most 8, is " + std::to_string(p.N));
  if (p.C > most_channels) return Support::no("C must be at most 8192, is " + std::to_string(p.C));
  if (const Support bits = needs_31_bits(p.H, "H"); !bits) return bits;
  if (const Support bits = needs_31_bits(p.W, "W"); !bits) return bits;
  const std::int64_t row = p.C * static_cast<std::int64_t>(size_of(p.in));
  if (p.H * p.W > most_image_bytes / row) {
    return Support::no("an image must have at most 1 MiB, has " + std::to_string(p.H) + " x " + std::to_string(p.W) +
                       " x " + std::to_string(p.C));
  }
  return needs_31_bits(div_up(p.K, block_channels) * p.N, "N K / 16");
}

double estimate_us(const PoolDenseProblem& p, const DeviceInfo& device) {
  const auto in = static_cast<double>(size_of(p.in));
  const double image = static_cast<double>(p.H * p.W * p.C) * in;
  const double filter = static_cast<double>(p.K * p.C) * in;
  const double blocks = static_cast<double>(div_up(p.K, block_channels) * p.N);
  // Every block reads its image from L2, at about 64 bytes per clock and multiprocessor.
  const double waves = std::ceil(blocks / std::max(device.multiprocessors, 1));
  const double image_us = waves * image / l2_port_bytes_per_us;
  return streaming_us(device, image * static_cast<double>(p.N) + filter) + image_us;
}

cudaError_t launch(const PoolDenseProblem& problem, const Operands& operands, const LaunchTarget& target) {
  Params p = {};
  p.x = operands.x;
  p.weight = operands.weight;
  p.epilogue = make_epilogue(problem.epilogue, problem.out, operands);
  p.positions = problem.H * problem.W;
  p.C = problem.C, p.K = problem.K;
  p.chunks = static_cast<int>(div_up(problem.C, count));
  // As many shares as the threads can take at once, and no more than there are positions.
  const std::int64_t most_shares = std::min<std::int64_t>(most_partial_floats / (p.chunks * count), p.positions);
  p.shares = static_cast<int>(std::clamp<std::int64_t>(div_up(threads, p.chunks), 1, most_shares));
  p.channel_blocks = static_cast<int>(div_up(problem.K, block_channels));
  p.x_vectors = is_aligned(operands.x, 16);
  p.weight_vectors = is_aligned(operands.weight, 16);
  LaunchShape shape;
  shape.blocks_x = static_cast<unsigned>(problem.N * p.channel_blocks);
  shape.threads = threads;
  shape.shared_bytes = sizeof(float) * static_cast<std::size_t>(p.shares * p.chunks * count);
  return with_float_type(problem.in, [&]<class T>() {
    return launch_kernel("pool_dense", pool_dense_kernel<T>, shape, target.stream, p);
  });
}

}  // namespace

extern constinit const Kernel pool_dense =
    make_kernel<PoolDenseProblem, supports, estimate_us, no_workspace<PoolDenseProblem>, launch>("pool_dense",
                                                                                                 plain_weights);

}  // namespace resnet::kernels
