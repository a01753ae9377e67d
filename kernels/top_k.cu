// The k largest values of each row, descending, with their indices: of equal values the lower index first, NaN last.
// Values are compared as unsigned keys of the same order (NaN is 1, -0 is 0). The entry that takes every such problem.
//
// top_k_best_kernel, for small k: a block per row finds one place after another, each time the largest (key, -index)
// below the one before; nothing is marked or moved, and the row is read from L1 or L2. 256 threads, 1024 for long rows;
// threads take 8 consecutive values in vectors. Shared memory: the best of each warp, 32 keys and 32 indices.
//
// top_k_rank_kernel, for large k: the place of a value is the number of values before it, so each thread counts for 4
// values against the whole row, which passes through shared memory in tiles of 1024 keys (4 KB). C^2 comparisons, but
// no step depends on another one: the whole device works on one row.
//
// Budget: top_k_best_kernel 64 registers, 256 bytes of shared memory
// Budget: top_k_rank_kernel 64 registers, 4096 bytes of shared memory
#include "kernels/device/thread.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/refusals.hpp"
#include "kernels/streaming.hpp"

namespace resnet::kernels {
namespace {

constexpr int count = item_elements;
constexpr int short_threads = 256, long_threads = 1024;
constexpr std::int64_t short_row = 8192, small_k = 64;
constexpr int rank_threads = 256, rank_values = 4, rank_tile = rank_threads * rank_values;

struct Params {
  const void* x;
  float* values;
  std::int32_t* indices;
  std::int64_t rows, C, k;
  std::int64_t row_blocks;  ///< of the rank kernel
  DType in;
  bool vectors;
};

/// Larger key, larger value; never 0.
RESNET_DEVICE std::uint32_t key_of(float value) {
  if (value != value) return 1;
  const std::uint32_t bits = dev::to_bits(value == 0 ? 0.0f : value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

struct Place {
  std::uint32_t key, index;
};
RESNET_DEVICE bool before(const Place& a, const Place& b) {
  return a.key > b.key || (a.key == b.key && a.index < b.index);
}
RESNET_DEVICE Place first_of(const Place& a, const Place& b) { return before(a, b) ? a : b; }

RESNET_DEVICE Place warp_first(Place place) {
  RESNET_UNROLL
  for (int bits = 16; bits > 0; bits /= 2) {
    place = first_of(place, Place{dev::shuffle_xor(place.key, bits), dev::shuffle_xor(place.index, bits)});
  }
  return place;
}

RESNET_KERNEL(long_threads, 1) top_k_best_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  std::uint32_t* const keys = arena.allocate<std::uint32_t>(32);
  std::uint32_t* const places = arena.allocate<std::uint32_t>(32);
  const auto threads = static_cast<int>(dev::block_threads());
  const unsigned warps = dev::block_threads() / 32;
  constexpr Place none = {0, 0xffffffffu};
  for (std::int64_t row = dev::block_index().x; row < p.rows; row += dev::grid_size().x) {
    Place last = {0xffffffffu, 0};  // no value has this key
    for (std::int64_t i = 0; i < p.k; ++i) {
      Place best = none;
      RESNET_NO_UNROLL
      for (std::int64_t c = static_cast<std::int64_t>(dev::thread_index()) * count; c < p.C; c += threads * count) {
        const int valid = p.C - c < count ? static_cast<int>(p.C - c) : count;
        float values[count];
        dev::load_elements(values, p.in, p.x, row * p.C + c, valid, p.vectors);
        RESNET_UNROLL
        for (int j = 0; j < count; ++j) {
          const Place place = {key_of(values[j]), static_cast<std::uint32_t>(c + j)};
          if (j < valid && before(last, place)) best = first_of(best, place);
        }
      }
      best = warp_first(best);
      if (dev::lane() == 0) keys[dev::warp()] = best.key, places[dev::warp()] = best.index;
      dev::sync_threads();
      // Every warp reduces the same list, so that all threads know the place.
      last = dev::lane() < warps ? Place{keys[dev::lane()], places[dev::lane()]} : none;
      last = warp_first(last);
      if (dev::thread_index() == 0) {
        float value[1];
        dev::load_elements(value, p.in, p.x, row * p.C + last.index, 1, false);
        p.values[row * p.k + i] = value[0];
        p.indices[row * p.k + i] = static_cast<std::int32_t>(last.index);
      }
      dev::sync_threads();
    }
  }
}

RESNET_KERNEL(rank_threads, 4) top_k_rank_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  std::uint32_t* const tile = arena.allocate<std::uint32_t>(rank_tile);
  const std::int64_t row = dev::block_index().x / p.row_blocks;
  const std::int64_t own_tile = (dev::block_index().x - row * p.row_blocks) * rank_tile;
  const auto thread = static_cast<int>(dev::thread_index());
  // A thread's values lie rank_threads apart, so that warps read neighbours.
  const auto load_key = [&](std::int64_t c) {
    float value[1];
    dev::load_elements(value, p.in, p.x, row * p.C + c, 1, false);
    return key_of(value[0]);
  };
  std::uint32_t own[rank_values] = {};
  RESNET_UNROLL
  for (int i = 0; i < rank_values; ++i) {
    const std::int64_t c = own_tile + thread + i * rank_threads;
    if (c < p.C) own[i] = load_key(c);
  }
  std::uint32_t ranks[rank_values] = {};
  RESNET_NO_UNROLL
  for (std::int64_t first = 0; first < p.C; first += rank_tile) {
    RESNET_UNROLL
    for (int i = 0; i < rank_values; ++i) {
      const std::int64_t c = first + thread + i * rank_threads;
      tile[thread + i * rank_threads] = c < p.C ? load_key(c) : 0;  // 0 comes after every value
    }
    dev::sync_threads();
    if (first == own_tile) {
      RESNET_NO_UNROLL
      for (int j = 0; j < rank_tile; ++j) {
        const std::uint32_t key = tile[j];
        RESNET_UNROLL
        for (int i = 0; i < rank_values; ++i) {
          ranks[i] += key > own[i] || (key == own[i] && j < thread + i * rank_threads) ? 1u : 0u;
        }
      }
    } else {
      // Equal keys of an earlier tile count, so the own key is lowered by one there.
      const std::uint32_t lowered = first < own_tile ? 1 : 0;
      RESNET_NO_UNROLL
      for (int j = 0; j < rank_tile; j += 4) {
        const dev::Vec16 keys = dev::load16(tile + j);
        RESNET_UNROLL
        for (int l = 0; l < 4; ++l) {
          RESNET_UNROLL
          for (int i = 0; i < rank_values; ++i) ranks[i] += keys.words[l] > own[i] - lowered ? 1u : 0u;
        }
      }
    }
    dev::sync_threads();
  }
  RESNET_UNROLL
  for (int i = 0; i < rank_values; ++i) {
    const std::int64_t c = own_tile + thread + i * rank_threads;
    if (c >= p.C || ranks[i] >= p.k) continue;
    float value[1];
    dev::load_elements(value, p.in, p.x, row * p.C + c, 1, false);
    p.values[row * p.k + ranks[i]] = value[0];
    p.indices[row * p.k + ranks[i]] = static_cast<std::int32_t>(c);
  }
}

std::int64_t row_blocks(const TopKProblem& p) { return (p.C + rank_tile - 1) / rank_tile; }

Support supports(const TopKProblem& p, const DeviceInfo&) {
  if (const Support type = needs_float(p.in, "the input"); !type) return type;
  if (p.k < 1 || p.k > p.C) {
    return Support::no("k must be 1 to C = " + std::to_string(p.C) + ", is " + std::to_string(p.k));
  }
  if (const Support bits = needs_31_bits(p.C, "C"); !bits) return bits;
  if (p.k > small_k) return needs_31_bits(p.rows * row_blocks(p), "rows C / 1024");
  return Support::yes();
}

double estimate_us(const TopKProblem& p, const DeviceInfo& device) {
  const double values = static_cast<double>(p.rows) * static_cast<double>(p.C);
  const double bytes = values * static_cast<double>(size_of(p.in));
  if (p.k > small_k) {
    // A comparison and an addition cost about two multiply-accumulates.
    return streaming_us(device, bytes) + values * static_cast<double>(p.C) * 2 / macs_per_us(device, Precision::fp32);
  }
  // Places come one after another: a reduction over the block each, and the row from L2.
  const double rows_each = std::ceil(static_cast<double>(p.rows) / (8.0 * std::max(device.multiprocessors, 1)));
  return streaming_us(device, bytes * static_cast<double>(p.k) / 2) + rows_each * static_cast<double>(p.k) * 0.5;
}

cudaError_t launch(const TopKProblem& problem, const Operands& operands, const LaunchTarget& target) {
  Params p = {};
  p.x = operands.x;
  p.values = static_cast<float*>(operands.y);
  p.indices = static_cast<std::int32_t*>(operands.indices);
  p.rows = problem.rows, p.C = problem.C, p.k = problem.k;
  p.row_blocks = row_blocks(problem);
  p.in = problem.in;
  p.vectors = is_aligned(operands.x, 16);
  LaunchShape shape;
  if (problem.k > small_k) {
    shape.blocks_x = static_cast<unsigned>(problem.rows * p.row_blocks);
    shape.threads = rank_threads;
    shape.shared_bytes = sizeof(std::uint32_t) * rank_tile;
    return launch_kernel("top_k_rank", top_k_rank_kernel, shape, target.stream, p);
  }
  const int threads = problem.C <= short_row ? short_threads : long_threads;
  shape.blocks_x = streaming_blocks(problem.rows * threads, threads, 2048 / threads, *target.device);
  shape.threads = static_cast<unsigned>(threads);
  shape.shared_bytes = 2 * sizeof(std::uint32_t) * 32;
  return launch_kernel("top_k_best", top_k_best_kernel, shape, target.stream, p);
}

}  // namespace

extern constinit const Kernel top_k =
    make_kernel<TopKProblem, supports, estimate_us, no_workspace<TopKProblem>, launch>("top_k");

}  // namespace resnet::kernels
