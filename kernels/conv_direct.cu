// Convolution on CUDA cores by implicit GEMM, fp32 products and sums over f32, f16 or bf16 storage. The entry that
// takes every convolution: any size, stride, dilation, padding, groups and alignment; also the one for honest fp32.
//
// GEMM: rows are output positions (n,p,q), columns the output channels of one group, depth (r,s,c). Tile: 128 x 128 by
// 256 threads, or 64 x 64 by 128 threads where that fills the device better; a warp covers 32 x 64 or 16 x 64, a thread
// 8 or 4 rows (4 apart) x 8 neighbouring columns.
//
// Pipeline: two stages of depth 8. While a stage is multiplied, the next one travels through registers: each thread
// fetches 8 values of one input or filter row, and converts 16-bit values to fp32 when it puts them into shared memory,
// so that the inner loop is FFMA and 16-byte shared loads alone. Loads are 16 bytes where the channels of a group are a
// multiple of 4 (f32) or 8 (16 bit) and the addresses allow it, else element by element.
//
// Shared memory, per stage: input rows [tile rows][8 + 4] f32, then filter rows [tile columns][8 + 4] f32: 12 KB for
// the large tile, 6 KB for the small one. The 4 floats of padding put the same 16 bytes of 8 consecutive rows into
// different banks. Filter rows of one warp's 64 columns are stored transposed as 8 x 8 (row j * 8 + i holds column
// i * 8 + j), so a thread's 8 columns are neighbours in the output while the warp's loads still touch consecutive rows.
// Afterwards the same memory holds 4 rows x 8 columns of sums of each thread (32 KB and 16 KB) for the epilogue's loop.
//
// Few tiles and a deep sum: up to 32 blocks share a tile of 64 x 64. Each leaves its sums in scratch memory; the last
// one to arrive adds all of them in the order of the depth.
//
// Budget: conv_direct_kernel 128 registers, 32772 bytes of shared memory
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

constexpr int depth_step = 8, row_floats = depth_step + 4;
constexpr int thread_columns = 8;

template <int warps_m_, int warps_n_, int thread_rows_>
struct Tile {
  static constexpr int warps_n = warps_n_, thread_rows = thread_rows_;
  static constexpr int warp_rows = 4 * thread_rows, warp_columns = 8 * thread_columns;
  static constexpr int rows = warps_m_ * warp_rows, columns = warps_n * warp_columns;
  static constexpr int threads = 32 * warps_m_ * warps_n;
  static constexpr int blocks = 512 / threads;
  static constexpr int stage_floats = (rows + columns) * row_floats;
  static constexpr int output_floats = 4 * threads * thread_columns;  // four rows of each thread
  static constexpr int shared_floats = std::max(2 * stage_floats, output_floats);
  static constexpr bool may_split = thread_rows_ == 4;  // large tiles are for problems that fill the device
  static_assert(rows + columns == threads);             // each fetches one row of either operand
};
using LargeTile = Tile<4, 2, 8>;
using SmallTile = Tile<4, 1, 4>;

struct Params {
  const void* x;
  const void* weight;
  dev::Epilogue epilogue;
  float* partials;            // [tiles][splits][tile rows x columns]
  std::uint32_t* semaphores;  // [tiles]
  std::int64_t output_rows;   // N P Q
  std::int64_t C, K;
  int H, W, group_c, group_k, depth;
  int splits, split_depth;  // of the depth; the latter a multiple of the stage
  int stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
  dev::WideDivider by_positions, by_Q;
  dev::Divider by_group_c, by_S, by_splits, by_column_tiles, by_row_tiles;
};

/// The 8 values of one row that a thread fetches ahead, as they are in memory.
template <class T>
struct alignas(16) Fetched {
  T values[depth_step];
};

/// What a thread fetches from: a row of the input, with the coordinates of filter tap (0, 0), or a row of the filter.
template <class T>
struct Source {
  const T* start;  ///< the image's first channel of the group, or the filter's first value; null = zeros
  int h, w;
};

/// Element offset of depth index `k` from the image's start, or -1 outside the image.
RESNET_DEVICE std::int64_t input_offset(const Params& p, int row_h, int row_w, int k) {
  int tap, c, r, s;
  p.by_group_c.split(k, tap, c);
  p.by_S.split(tap, r, s);
  const int h = row_h + r * p.dilation_h, w = row_w + s * p.dilation_w;
  if (h < 0 || h >= p.H || w < 0 || w >= p.W) return -1;
  return (static_cast<std::int64_t>(h) * p.W + w) * p.C + c;
}

template <class T, bool vectors>
RESNET_DEVICE void fetch(const Params& p, const Source<T>& source, bool is_input, int k, Fetched<T>& to) {
  constexpr int step = vectors ? 16 / static_cast<int>(sizeof(T)) : 1;
  RESNET_UNROLL
  for (int i = 0; i < depth_step; ++i) to.values[i] = T{};
  if (!source.start) return;
  RESNET_UNROLL
  for (int i = 0; i < depth_step; i += step) {
    if (k + i >= p.depth) continue;
    const std::int64_t offset = is_input ? input_offset(p, source.h, source.w, k + i) : k + i;
    if (offset < 0) continue;
    if constexpr (vectors) {
      const dev::Vec16 vector = dev::load16(source.start + offset);
      memcpy(&to.values[i], &vector, 16);
    } else {
      to.values[i] = source.start[offset];
    }
  }
}

template <class T>
RESNET_DEVICE void put(float* shared, const Fetched<T>& from) {
  float values[depth_step];
  RESNET_UNROLL
  for (int i = 0; i < depth_step; ++i) values[i] = dev::to_float(from.values[i]);
  dev::store16(shared, dev::detail::pack<float>(values, 0));
  dev::store16(shared + 4, dev::detail::pack<float>(values, 4));
}

/// Four rows at a time: what the whole thread's rows would need beside the sums does not fit into 128 registers.
template <class Tile>
RESNET_DEVICE void multiply(const float* rows, const float* columns, float (&acc)[Tile::thread_rows][thread_columns]) {
  RESNET_NO_UNROLL
  for (int k = 0; k < depth_step; k += 4) {
    RESNET_UNROLL
    for (int first = 0; first < Tile::thread_rows; first += 4) {
      float a[4][4];
      RESNET_UNROLL
      for (int i = 0; i < 4; ++i) {
        dev::detail::unpack<float>(dev::load16(rows + 4 * (first + i) * row_floats + k), a[i], 0);
      }
      RESNET_UNROLL
      for (int j = 0; j < thread_columns; ++j) {
        float b[4];
        dev::detail::unpack<float>(dev::load16(columns + 8 * j * row_floats + k), b, 0);
        RESNET_UNROLL
        for (int i = 0; i < 4; ++i) {
          RESNET_UNROLL
          for (int l = 0; l < 4; ++l) acc[first + i][j] = fmaf(a[i][l], b[l], acc[first + i][j]);
        }
      }
    }
  }
}

/// Leaves this block's sums in scratch memory. True for the last block of the tile, which then holds the sums of all,
/// added in the order of the splits.
template <class Tile>
RESNET_DEVICE bool add_splits(const Params& p, int tile, int split, std::uint32_t* shared_count,
                              float (&acc)[Tile::thread_rows][thread_columns]) {
  constexpr std::int64_t tile_floats = Tile::rows * Tile::columns;
  const int thread = static_cast<int>(dev::thread_index());
  float* const all = p.partials + std::int64_t{tile} * p.splits * tile_floats + thread * 4;
  float* const own = all + split * tile_floats;
  RESNET_UNROLL
  for (int i = 0; i < Tile::thread_rows; ++i) {
    dev::store16(own + 8 * i * Tile::threads, dev::detail::pack<float>(acc[i], 0));
    dev::store16(own + (8 * i + 4) * Tile::threads, dev::detail::pack<float>(acc[i], 4));
  }
  dev::sync_threads();
  if (thread == 0) *shared_count = dev::atomic_add(p.semaphores + tile, 1);
  dev::sync_threads();
  if (*shared_count != static_cast<std::uint32_t>(p.splits) - 1) return false;
  if (thread == 0) static_cast<void>(dev::atomic_add(p.semaphores + tile, 0u - static_cast<std::uint32_t>(p.splits)));
  RESNET_UNROLL
  for (int i = 0; i < Tile::thread_rows; ++i) {
    RESNET_UNROLL
    for (int j = 0; j < thread_columns; ++j) acc[i][j] = 0;
  }
  RESNET_NO_UNROLL
  for (int from = 0; from < p.splits; ++from) {
    const float* const part = all + from * tile_floats;
    RESNET_UNROLL
    for (int i = 0; i < Tile::thread_rows; ++i) {
      float values[thread_columns];
      dev::detail::unpack<float>(dev::load16(part + 8 * i * Tile::threads), values, 0);
      dev::detail::unpack<float>(dev::load16(part + (8 * i + 4) * Tile::threads), values, 4);
      RESNET_UNROLL
      for (int j = 0; j < thread_columns; ++j) acc[i][j] += values[j];
    }
  }
  return true;
}

template <class T, bool vectors, class Tile>
RESNET_KERNEL(Tile::threads, Tile::blocks)
conv_direct_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const shared = arena.template allocate<float>(Tile::shared_floats);
  std::uint32_t* const shared_count = arena.template allocate<std::uint32_t>(1);

  // Neighbouring blocks share input rows: column tiles run fastest behind the splits of one tile.
  int tile = static_cast<int>(dev::block_index().x), split = 0;
  if constexpr (Tile::may_split) p.by_splits.split(tile, tile, split);
  int tile_m, tile_n, group, rest;
  p.by_column_tiles.split(tile, rest, tile_n);
  p.by_row_tiles.split(rest, group, tile_m);

  const int thread = static_cast<int>(dev::thread_index());
  // Fetching: the first threads take a row of the input each, the others one of the filter.
  const bool is_input = thread < Tile::rows;
  Source<T> source = {nullptr, 0, 0};
  if (is_input) {
    const std::int64_t output_row = std::int64_t{tile_m} * Tile::rows + thread;
    if (output_row < p.output_rows) {
      std::int64_t n, position, output_p, output_q;
      p.by_positions.split(output_row, n, position);
      p.by_Q.split(position, output_p, output_q);
      source.start = static_cast<const T*>(p.x) + n * p.H * p.W * p.C + std::int64_t{group} * p.group_c;
      source.h = static_cast<int>(output_p) * p.stride_h - p.pad_top;
      source.w = static_cast<int>(output_q) * p.stride_w - p.pad_left;
    }
  } else {
    const int row = thread - Tile::rows, within = row % Tile::warp_columns;
    const int column = tile_n * Tile::columns + row - within + within % 8 * thread_columns + within / 8;
    if (column < p.group_k) {
      source.start = static_cast<const T*>(p.weight) + (std::int64_t{group} * p.group_k + column) * p.depth;
    }
  }
  float* const put_row = shared + thread * row_floats;

  // Multiplying.
  const int warp = static_cast<int>(dev::warp()), lane = static_cast<int>(dev::lane());
  const int warp_m = warp / Tile::warps_n, warp_n = warp % Tile::warps_n;
  const float* const get_input = shared + (warp_m * Tile::warp_rows + lane / 8) * row_floats;
  const float* const get_filter = shared + (Tile::rows + warp_n * Tile::warp_columns + lane % 8) * row_floats;
  float acc[Tile::thread_rows][thread_columns] = {};

  const int begin = Tile::may_split ? split * p.split_depth : 0;
  const int end = Tile::may_split && p.depth - begin > p.split_depth ? begin + p.split_depth : p.depth;
  Fetched<T> next;
  fetch<T, vectors>(p, source, is_input, begin, next);
  put(put_row, next);
  dev::sync_threads();
  int stage = 0;
  RESNET_NO_UNROLL
  for (int k = begin; k < end; k += depth_step) {
    const bool more = end - k > depth_step;
    if (more) fetch<T, vectors>(p, source, is_input, k + depth_step, next);
    multiply<Tile>(get_input + stage, get_filter + stage, acc);
    stage = Tile::stage_floats - stage;
    if (more) put(put_row + stage, next);
    dev::sync_threads();
  }
  if constexpr (Tile::may_split) {
    if (p.splits > 1 && !add_splits<Tile>(p, tile, split, shared_count, acc)) return;
  }

  // Through the thread's own shared memory, so that the epilogue is a loop and not its text once per row.
  const int column = tile_n * Tile::columns + warp_n * Tile::warp_columns + lane % 8 * thread_columns;
  const int valid = p.group_k - column < thread_columns ? p.group_k - column : thread_columns;
  const std::int64_t channel = std::int64_t{group} * p.group_k + column;
  RESNET_UNROLL
  for (int first = 0; first < Tile::thread_rows; first += 4) {
    RESNET_UNROLL
    for (int i = 0; i < 4; ++i) {
      float* const own = shared + (i * Tile::threads + thread) * thread_columns;
      dev::store16(own, dev::detail::pack<float>(acc[first + i], 0));
      dev::store16(own + 4, dev::detail::pack<float>(acc[first + i], 4));
    }
    std::int64_t row = std::int64_t{tile_m} * Tile::rows + warp_m * Tile::warp_rows + 4 * first + lane / 8;
    RESNET_NO_UNROLL
    for (int i = 0; i < 4 && row < p.output_rows && valid > 0; ++i, row += 4) {
      const float* const own = shared + (i * Tile::threads + thread) * thread_columns;
      float sums[thread_columns];
      dev::detail::unpack<float>(dev::load16(own), sums, 0);
      dev::detail::unpack<float>(dev::load16(own + 4), sums, 4);
      dev::finish_and_store(p.epilogue, sums, channel, row * p.K + channel, valid);
    }
  }
}

template <class Tile>
std::int64_t tiles(const ConvProblem& p) {
  return div_up(p.N * p.P * p.Q, Tile::rows) * div_up(p.K / p.groups, Tile::columns) * p.groups;
}

std::int64_t depth(const ConvProblem& p) { return p.R * p.S * (p.C / p.groups); }

Support supports(const ConvProblem& p, const DeviceInfo&) {
  if (const Support types = needs_float(p.in, p.out); !types) return types;
  if (const Support precision = needs_float_precision(p.precision); !precision) return precision;
  if (const Support bits = needs_31_bits(depth(p) + depth_step, "R S C / groups + 8"); !bits) return bits;
  if (const Support bits = needs_31_bits(p.K, "K"); !bits) return bits;
  if (const Support window = needs_31_bit_window(p); !window) return window;
  return needs_31_bits(tiles<SmallTile>(p), "the number of 64 x 64 tiles");
}

/// How a problem is cut.
struct Choice {
  bool large = false;
  int splits = 1;
  std::int64_t split_depth = 0, blocks = 0;
  double us = 0;
};

template <class Tile>
Choice cut(const ConvProblem& p, const DeviceInfo& device, int wanted_splits) {
  Choice choice;
  choice.large = !Tile::may_split;
  const std::int64_t steps = div_up(depth(p), depth_step), split_steps = div_up(steps, wanted_splits);
  choice.split_depth = split_steps * depth_step;
  choice.splits = static_cast<int>(div_up(steps, split_steps));
  choice.blocks = tiles<Tile>(p) * choice.splits;
  // Issue slots next to the FFMA: shared loads, fetching, barriers. Four warps alone do not hide them.
  const bool alone = choice.blocks <= device.multiprocessors && Tile::threads < 256;
  const double efficiency = Tile::thread_rows == 8 ? 0.75 : alone ? 0.4 : 0.65;
  const double macs =
      static_cast<double>(Tile::rows * Tile::columns * depth_step) * (static_cast<double>(split_steps) + 2);
  choice.us = tiled_us(device, Precision::fp32, static_cast<double>(choice.blocks), macs, Tile::blocks, efficiency,
                       least_bytes(p));
  if (choice.splits > 1) {
    // Out to L2 and back, and the last block of a tile reads its parts one after another.
    const double part = sizeof(float) * Tile::rows * Tile::columns;
    choice.us += 2 + part * static_cast<double>(choice.blocks) / bytes_per_us(device) +
                 part * choice.splits / l2_port_bytes_per_us;
  }
  return choice;
}

Choice choose(const ConvProblem& p, const DeviceInfo& device) {
  Choice best = cut<SmallTile>(p, device, 1);
  if (const Choice large = cut<LargeTile>(p, device, 1); large.us < best.us) best = large;
  if (p.batch_invariant) return best;  // as many splits as the batch leaves room for
  if (tiles<SmallTile>(p) > std::min(semaphore_count, 2 * device.multiprocessors)) return best;
  const std::int64_t most_splits = std::min<std::int64_t>(depth(p) / (8 * depth_step), 32);
  for (int splits = 2; splits <= most_splits; ++splits) {
    if (const Choice split = cut<SmallTile>(p, device, splits); split.us < best.us) best = split;
  }
  return best;
}

double estimate_us(const ConvProblem& p, const DeviceInfo& device) { return choose(p, device).us; }

std::size_t workspace_bytes(const ConvProblem& p, const DeviceInfo& device) {
  const Choice choice = choose(p, device);
  if (choice.splits == 1) return 0;
  return static_cast<std::size_t>(choice.blocks) * SmallTile::rows * SmallTile::columns * sizeof(float);
}

template <class T, bool vectors, class Tile>
cudaError_t launch_tile(const Choice& choice, Params& p, cudaStream_t stream) {
  p.by_column_tiles = dev::Divider(div_up(p.group_k, Tile::columns));
  p.by_row_tiles = dev::Divider(div_up(p.output_rows, Tile::rows));
  LaunchShape shape;
  shape.blocks_x = static_cast<unsigned>(choice.blocks);
  shape.threads = Tile::threads;
  shape.shared_bytes = sizeof(float) * Tile::shared_floats + sizeof(std::uint32_t);
  return launch_kernel("conv_direct", conv_direct_kernel<T, vectors, Tile>, shape, stream, p);
}

template <class T>
cudaError_t launch_type(const Choice& choice, Params& p, cudaStream_t stream) {
  const bool vectors =
      p.group_c % (16 / static_cast<int>(sizeof(T))) == 0 && is_aligned(p.x, 16) && is_aligned(p.weight, 16);
  if (choice.large) {
    return vectors ? launch_tile<T, true, LargeTile>(choice, p, stream)
                   : launch_tile<T, false, LargeTile>(choice, p, stream);
  }
  return vectors ? launch_tile<T, true, SmallTile>(choice, p, stream)
                 : launch_tile<T, false, SmallTile>(choice, p, stream);
}

cudaError_t launch(const ConvProblem& problem, const Operands& operands, const LaunchTarget& target) {
  const Choice choice = choose(problem, *target.device);
  if (choice.splits > 1) {
    if (!operands.workspace || !operands.semaphores) return cudaErrorInvalidValue;
    if (!is_aligned(operands.workspace, 16) || !is_aligned(operands.semaphores, 4)) return cudaErrorMisalignedAddress;
  }
  Params p = {};
  p.x = operands.x;
  p.weight = operands.weight;
  p.epilogue = make_epilogue(problem.epilogue, problem.out, operands);
  p.output_rows = problem.N * problem.P * problem.Q;
  p.C = problem.C;
  p.K = problem.K;
  p.H = static_cast<int>(problem.H);
  p.W = static_cast<int>(problem.W);
  p.group_c = static_cast<int>(problem.C / problem.groups);
  p.group_k = static_cast<int>(problem.K / problem.groups);
  p.depth = static_cast<int>(depth(problem));
  p.stride_h = static_cast<int>(problem.stride_h);
  p.stride_w = static_cast<int>(problem.stride_w);
  p.pad_top = static_cast<int>(problem.pad_top);
  p.pad_left = static_cast<int>(problem.pad_left);
  p.dilation_h = static_cast<int>(problem.dilation_h);
  p.dilation_w = static_cast<int>(problem.dilation_w);
  p.by_positions = dev::WideDivider(problem.P * problem.Q);
  p.by_Q = dev::WideDivider(problem.Q);
  p.by_group_c = dev::Divider(p.group_c);
  p.by_S = dev::Divider(problem.S);
  p.splits = choice.splits;
  p.split_depth = static_cast<int>(choice.split_depth);
  p.by_splits = dev::Divider(choice.splits);
  p.partials = static_cast<float*>(operands.workspace);
  p.semaphores = operands.semaphores;
  return with_float_type(problem.in, [&]<class T>() { return launch_type<T>(choice, p, target.stream); });
}

}  // namespace

extern constinit const Kernel conv_direct =
    make_kernel<ConvProblem, supports, estimate_us, workspace_bytes, launch>("conv_direct", plain_weights);

}  // namespace resnet::kernels
