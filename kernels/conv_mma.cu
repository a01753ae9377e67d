// Convolution as a GEMM on the matrix unit (mma.sync), groups = 1, fp16, bf16 and tf32, any filter, stride, dilation
// and padding. Dense layers (dense_mma.cu) are its 1x1 case.
//
//   rows      m = (n, p, q), N P Q of them      A: gathered from x (NHWC) as they are needed, never written out
//   columns   k, K of them                      B: filter rows (KRSC)
//   reduction (r, s, c) in 16-byte chunks of c, c fastest
//
// Pipeline: `stages` stages of `row_bytes` of the reduction per row and column, filled by cp.async (16 bytes, zeros for
// padding, rows beyond the end and the tail of the reduction). A thread keeps its chunk column and its rows, so that it
// carries one (r, s, c) and, per row, one offset and one packed (h, w). Operands go through ldmatrix into two sets of
// registers; the copies of the next stage are spread over the K steps.
//
// Split-K: `splits` blocks of a tile put fp32 partials into the workspace; the one that comes last adds them in the
// order of the splits, so bits do not depend on the schedule.
//
// Shared memory: stages x (block_m + block_n) x row_bytes, swizzled; the same memory then turns the tile around for the
// stores (block_m x block_n floats).
//
//   tile      warps x warp tile  row bytes  stages  shared   blocks per multiprocessor (registers at most)
//   256x128   8 x 64x64          128        3       144 KB   1 (255)
//   256x64    4 x 64x64          64         4        80 KB   2 (255)
//   128x128   4 x 64x64          64         4        64 KB   2 (255)
//   128x64    4 x 64x32          64         4        48 KB   3 (168)
//   64x64     4 x 32x32          128        4        64 KB   3 (168)
//   32x64     4 x 16x32          128        4        48 KB   4 (128)
//   64x64     the same kernel    128        8       128 KB   1
//   32x64     the same kernel    128        8        96 KB   2
//
// The deep ones are for batch 1, where a multiprocessor has one block at most and the latency of the copies decides.
//
// Budget: conv_mma_kernel 255 registers, 147456 bytes of shared memory
//
// Needed by every convolution of every ResNet but the stem.

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "base/checked.hpp"
#include "kernels/conv_mma.hpp"
#include "kernels/device/divider.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/mma_support.hpp"
#include "kernels/mma_tile.hpp"
#include "kernels/weight_packs.hpp"

namespace resnet::kernels {
namespace {

template <class T>
using Tile256x128 = MmaTile<T, 256, 128, 4, 2, 128, 3, 1>;
template <class T>
using Tile256x64 = MmaTile<T, 256, 64, 4, 1, 64, 4, 2>;
template <class T>
using Tile128x128 = MmaTile<T, 128, 128, 2, 2, 64, 4, 2>;
template <class T>
using Tile128x64 = MmaTile<T, 128, 64, 2, 2, 64, 4, 3>;
template <class T>
using Tile64x64 = MmaTile<T, 64, 64, 2, 2, 128, 4, 3>;
template <class T>
using Tile32x64 = MmaTile<T, 32, 64, 2, 2, 128, 4, 4>;

struct TileFacts {
  int block_m, block_n, row_bytes, stages, blocks, threads, shared_bytes;
  bool deep;
  double operand_bytes_per_mac;  ///< that warps read from shared memory, at 2 bytes per element
};

template <class Tile>
constexpr TileFacts facts(bool deep = false) {
  const int factor = deep ? 2 : 1;
  return {Tile::block_m,
          Tile::block_n,
          Tile::row_bytes,
          Tile::stages * factor,
          Tile::blocks,
          Tile::threads,
          std::max(Tile::pipeline_bytes * factor, Tile::store_bytes),
          deep,
          2.0 / Tile::warp_m + 2.0 / Tile::warp_n};
}

/// In the order of launch_type().
constexpr std::array<TileFacts, 8> tiles{facts<Tile256x128<dev::half>>(),   facts<Tile256x64<dev::half>>(),
                                         facts<Tile128x128<dev::half>>(),   facts<Tile128x64<dev::half>>(),
                                         facts<Tile64x64<dev::half>>(),     facts<Tile32x64<dev::half>>(),
                                         facts<Tile64x64<dev::half>>(true), facts<Tile32x64<dev::half>>(true)};

struct Params {
  const unsigned char* x = nullptr;
  const unsigned char* weight = nullptr;
  float* partials = nullptr;
  std::uint32_t* semaphores = nullptr;
  dev::Epilogue epilogue;
  int rows = 0, columns = 0;  ///< N P Q, K
  int steps = 0, splits = 1;  ///< stages of one block, blocks of one tile
  unsigned shared_bytes = 0;
  bool deep = false;
  int reduction_chunks = 0;  ///< R S C in 16-byte chunks: a filter row
  int image_chunks = 0;      ///< H W C
  int row_chunks = 0;        ///< W C
  int pixel_chunks = 0;      ///< C
  int H = 0, W = 0, R = 0, S = 0;
  int stride_h = 1, stride_w = 1, pad_top = 0, pad_left = 0, dilation_h = 1, dilation_w = 1;
  int step_r = 0, step_s = 0, step_c = 0;  ///< one stage as a step of (r, s, c)
  dev::Divider column_blocks, positions, Q, by_pixel_chunks, by_S;
};

/// Positions outside the image may wrap; nobody uses their offsets.
RESNET_DEVICE std::uint32_t product(int a, int b) {
  return static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b);
}

/// Copies of one thread. Offsets are 16-byte chunks from the start of the tensor, fewer than 2^31.
template <class Tile, bool one_tap>
class ConvLoader {
 public:
  RESNET_DEVICE ConvLoader(const Params& p, int first_row, int first_column, int first_chunk, int end_chunk)
      : p_(p), end_(end_chunk) {
    const int thread = static_cast<int>(dev::thread_index());
    const int row = thread / Tile::chunks, chunk = thread % Tile::chunks;
    position_ = first_chunk + chunk;
    shared_ = dev::swizzled<Tile::row_bytes>(static_cast<unsigned>(row), static_cast<unsigned>(chunk));
    RESNET_UNROLL
    for (int i = 0; i < Tile::a_loads; ++i) {
      const int m = first_row + row + i * Tile::rows_per_pass;
      int n, pq, out_h, out_w;
      // Rows beyond the end repeat the last one; nobody stores them.
      p.positions.split(m < p.rows ? m : p.rows - 1, n, pq);
      p.Q.split(pq, out_h, out_w);
      const int h = out_h * p.stride_h - p.pad_top, w = out_w * p.stride_w - p.pad_left;
      a_[i] = product(n, p.image_chunks) + product(h, p.row_chunks) + product(w, p.pixel_chunks);
      if constexpr (!one_tap) hw_[i] = static_cast<std::uint32_t>(h) << 16 | (static_cast<std::uint32_t>(w) & 0xffffu);
    }
    column_ = first_column + row;
    b_ = product(column_, p.reduction_chunks);
    if constexpr (!one_tap) {
      int tap;
      p.by_pixel_chunks.split(position_, tap, c_);
      p.by_S.split(tap, r_, s_);
    }
  }

  RESNET_DEVICE void load(int part, unsigned char* stage) const {
    const bool inside = position_ < end_;
    unsigned char* const a_rows = stage + shared_;
    unsigned char* const b_rows = a_rows + Tile::block_m * Tile::row_bytes;
    int tap_h = 0, tap_w = 0;
    std::uint32_t tap = static_cast<std::uint32_t>(position_);
    if constexpr (!one_tap) {
      tap_h = r_ * p_.dilation_h;
      tap_w = s_ * p_.dilation_w;
      tap = product(tap_h, p_.row_chunks) + product(tap_w, p_.pixel_chunks) + static_cast<std::uint32_t>(c_);
    }
    RESNET_UNROLL
    for (int i = 0; i < Tile::a_loads; ++i) {
      if (i % Tile::k_steps != part) continue;
      bool valid = inside;
      if constexpr (!one_tap) {
        const int h = static_cast<std::int16_t>(hw_[i] >> 16) + tap_h;
        const int w = static_cast<std::int16_t>(hw_[i] & 0xffffu) + tap_w;
        valid = valid && static_cast<unsigned>(h) < static_cast<unsigned>(p_.H) &&
                static_cast<unsigned>(w) < static_cast<unsigned>(p_.W);
      }
      const std::uint32_t offset = valid ? a_[i] + tap : 0;
      dev::cp_async16(a_rows + i * Tile::rows_per_pass * Tile::row_bytes, p_.x + std::uint64_t{offset} * 16,
                      valid ? 16 : 0);
    }
    RESNET_UNROLL
    for (int i = 0; i < Tile::b_loads; ++i) {
      if (i % Tile::k_steps != part) continue;
      const bool valid = inside && column_ + i * Tile::rows_per_pass < p_.columns;
      const std::uint32_t row = b_ + product(i * Tile::rows_per_pass, p_.reduction_chunks);
      const std::uint32_t offset = valid ? row + static_cast<std::uint32_t>(position_) : 0;
      dev::cp_async16(b_rows + i * Tile::rows_per_pass * Tile::row_bytes, p_.weight + std::uint64_t{offset} * 16,
                      valid ? 16 : 0);
    }
  }

  RESNET_DEVICE void advance() {
    position_ += Tile::chunks;
    if constexpr (!one_tap) {
      c_ += p_.step_c;
      s_ += p_.step_s;
      r_ += p_.step_r;
      if (c_ >= p_.pixel_chunks) {
        c_ -= p_.pixel_chunks;
        ++s_;
      }
      if (s_ >= p_.S) {
        s_ -= p_.S;
        ++r_;
      }
    }
  }

 private:
  const Params& p_;
  int position_, end_;  ///< this thread's chunk of the reduction, and where this block's part of it ends
  unsigned shared_;
  std::uint32_t a_[Tile::a_loads], hw_[Tile::a_loads];
  std::uint32_t b_;
  int column_;
  int r_ = 0, s_ = 0, c_ = 0;
};

/// `one_tap`: 1x1 without padding, where nothing but the end of the reduction needs a check.
template <class Tile, bool one_tap>
RESNET_KERNEL(Tile::threads, Tile::blocks)
conv_mma_kernel(RESNET_PARAMS(Params) p) {
  if constexpr (dev::mma_available<typename Tile::T>() && Tile::shared_bytes <= dev::shared_limit()) {
    dev::SharedArena arena;
    unsigned char* const shared = arena.allocate<unsigned char>(p.shared_bytes, 1024);
    const int block = static_cast<int>(dev::block_index().x), split = static_cast<int>(dev::block_index().z);
    int row_block, column_block;
    p.column_blocks.split(block, row_block, column_block);
    const int first_row = row_block * Tile::block_m, first_column = column_block * Tile::block_n;
    const int first_chunk = split * p.steps * Tile::chunks, share = p.steps * Tile::chunks;
    const int left = p.reduction_chunks - first_chunk;
    const int chunks = left < share ? left : share;

    Accumulators<Tile> c;
    clear<Tile>(c);
    ConvLoader<Tile, one_tap> loader(p, first_row, first_column, first_chunk, first_chunk + chunks);
    multiply<Tile>(c, loader, shared, (chunks + Tile::chunks - 1) / Tile::chunks, p.deep);
    if (p.splits > 1) {
      float* const partials = p.partials + static_cast<std::int64_t>(block) * p.splits * Tile::block_m * Tile::block_n;
      if (!reduce_splits<Tile>(c, shared, partials, p.semaphores + block, split, p.splits)) return;
    } else {
      dev::sync_threads();
    }
    const auto output_row = [&](int i) -> std::int64_t { return first_row + i < p.rows ? first_row + i : -1; };
    store_tile<Tile>(c, shared, p.epilogue, output_row, p.columns, first_column);
  } else {
    dev::trap("this target has no such tile");
  }
}

bool is_one_tap(const ConvProblem& p) {
  return p.R == 1 && p.S == 1 && p.pad_top == 0 && p.pad_left == 0 && p.pad_bottom == 0 && p.pad_right == 0;
}

std::int64_t elements_per_chunk(const ConvProblem& p) { return 16 / static_cast<std::int64_t>(size_of(p.in)); }

/// Paper model. A stage takes what the matrix unit, shared memory, L2 or, where few blocks run, the latency of a stage
/// in flight asks for. L2 gives 28 bytes per clock to each multiprocessor, up to 64 where others are idle.
double model_us(const ConvProblem& p, const DeviceInfo& device, const TileFacts& tile, const ConvMmaChoice& choice) {
  constexpr double l2_bytes_per_us = 28 * clock_per_us, shared_bytes_per_clock = 128;
  constexpr double latency_us = 0.6, fill_us = 0.7, store_us = 0.5, handover_us = 1.2;
  const double multiprocessors = std::max(device.multiprocessors, 1);
  const double rate = macs_per_us(device, p.precision) / multiprocessors;
  const double efficiency =
      std::min(0.9, shared_bytes_per_clock / (tile.operand_bytes_per_mac * matrix_macs_per_clock(device)));
  const double grid = static_cast<double>(choice.blocks * choice.splits);
  const double resident = resident_blocks(device, tile.shared_bytes, tile.blocks);
  const double side_by_side = std::min(resident, std::ceil(grid / multiprocessors));
  const double waves = std::ceil(grid / (multiprocessors * resident));
  const double busy = std::min(grid, multiprocessors);
  const double l2 = std::min(l2_port_bytes_per_us, l2_bytes_per_us * multiprocessors / busy);
  const double stage_macs =
      static_cast<double>(tile.block_m) * tile.block_n * tile.row_bytes / static_cast<double>(size_of(p.in));
  const double stage_bytes = static_cast<double>(tile.block_m + tile.block_n) * tile.row_bytes;
  const double shared_us = std::max(stage_macs / (rate * efficiency), stage_bytes / l2) * side_by_side;
  const double stage_us = std::max(shared_us, latency_us / (tile.stages - 1));
  const double around_us = (fill_us + store_us) / (waves > 1 ? resident : 1);
  double us = waves * (choice.steps * stage_us + around_us);
  if (choice.splits > 1) {
    const double partial_bytes = static_cast<double>(tile.block_m) * tile.block_n * 4 * (choice.splits + 1);
    us += handover_us + partial_bytes / l2_port_bytes_per_us;
  }
  // Memory idles while a block that is alone on its multiprocessor waits for its first stage.
  const double idle_us = waves > 1 ? waves * fill_us / resident : 0;
  return launch_us + std::max(us, least_bytes(p) / bytes_per_us(device) + idle_us);
}

Support supports(const ConvProblem& p, const DeviceInfo& device) {
  constexpr std::int64_t limit = std::int64_t{1} << 31, side_limit = 1 << 15;
  if (Support operands = mma_operands(p.precision, p.in, p.out, device); !operands) return operands;
  if (p.groups != 1) return Support::no("groups must be 1, is " + std::to_string(p.groups));
  const std::int64_t chunk = elements_per_chunk(p);
  if (p.C % chunk != 0)
    return Support::no("C must be a multiple of " + std::to_string(chunk) + ", is " + std::to_string(p.C));
  for (const std::int64_t side :
       {p.H, p.W, p.R, p.S, p.P, p.Q, p.stride_h, p.stride_w, p.pad_top, p.pad_left, p.dilation_h, p.dilation_w}) {
    if (side >= side_limit) return Support::no("H, W, P, Q, strides and padding must be below 2^15");
  }
  if ((p.R - 1) * p.dilation_h >= side_limit || (p.S - 1) * p.dilation_w >= side_limit ||
      (p.P - 1) * p.stride_h >= side_limit || (p.Q - 1) * p.stride_w >= side_limit)
    return Support::no("the dilated filter and the input that it visits must be below 2^15 on a side");
  if (p.C >= limit || p.K >= limit) return Support::no("C and K must be below 2^31");
  if (p.N >= limit || p.N * p.P * p.Q >= limit) return Support::no("N * P * Q must be below 2^31");
  if (p.H * p.W >= limit || p.H * p.W * p.C >= limit) return Support::no("an image must be below 2^31 elements");
  if (p.N * (p.H * p.W * p.C / chunk) >= limit) return Support::no("x must be below 2^35 bytes");
  if (p.R * p.S * p.C >= limit || p.K * (p.R * p.S * p.C / chunk) >= limit)
    return Support::no("a filter must be below 2^31 elements, all of them below 2^35 bytes");
  if (div_up(p.N * p.P * p.Q, 32) * div_up(p.K, 64) >= limit)
    return Support::no("the output must be below 2^31 tiles of 32x64");
  const auto fits = [&](const TileFacts& tile) {
    return static_cast<std::size_t>(tile.shared_bytes) <= device.shared_bytes_per_block;
  };
  if (std::none_of(tiles.begin(), tiles.end(), fits)) return Support::no("no tile fits the shared memory of a block");
  return Support::yes();
}

double estimate_us(const ConvProblem& p, const DeviceInfo& device) { return conv_mma_choice(p, device).us; }

std::size_t workspace_bytes(const ConvProblem& p, const DeviceInfo& device) {
  return conv_mma_workspace_bytes(conv_mma_choice(p, device));
}

template <class Tile>
cudaError_t launch_tile(Params params, bool one_tap, unsigned blocks, cudaStream_t stream) {
  LaunchShape shape;
  shape.blocks_x = blocks;
  shape.blocks_z = static_cast<unsigned>(params.splits);
  shape.threads = Tile::threads;
  shape.shared_bytes = params.shared_bytes;
  if (one_tap) return launch_kernel("conv_mma", conv_mma_kernel<Tile, true>, shape, stream, params);
  return launch_kernel("conv_mma", conv_mma_kernel<Tile, false>, shape, stream, params);
}

template <class T>
cudaError_t launch_type(const ConvMmaChoice& choice, const Params& params, bool one_tap, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(choice.blocks);
  switch (choice.tile) {
    case 0:
      return launch_tile<Tile256x128<T>>(params, one_tap, blocks, stream);
    case 1:
      return launch_tile<Tile256x64<T>>(params, one_tap, blocks, stream);
    case 2:
      return launch_tile<Tile128x128<T>>(params, one_tap, blocks, stream);
    case 3:
      return launch_tile<Tile128x64<T>>(params, one_tap, blocks, stream);
    case 4:
    case 6:
      return launch_tile<Tile64x64<T>>(params, one_tap, blocks, stream);
    default:
      return launch_tile<Tile32x64<T>>(params, one_tap, blocks, stream);
  }
}

cudaError_t launch(const ConvProblem& p, const Operands& operands, const LaunchTarget& target) {
  return launch_conv_mma(p, conv_mma_choice(p, *target.device), operands, target);
}

}  // namespace

std::string to_string(const ConvMmaChoice& choice) {
  if (!choice.ok()) return "no tile";
  const std::string us = std::to_string(std::round(choice.us * 10) / 10);
  const bool deep = tiles[static_cast<std::size_t>(choice.tile)].deep;
  return std::to_string(choice.block_m) + "x" + std::to_string(choice.block_n) + (deep ? " deep, " : ", ") +
         std::to_string(choice.splits) + " splits of " + std::to_string(choice.steps) + " stages, " +
         std::to_string(choice.blocks) + " tiles, " + us.substr(0, us.find('.') + 2) + " us";
}

int conv_mma_tiles() { return static_cast<int>(tiles.size()); }

std::span<const int> conv_mma_splits() {
  static constexpr int splits[] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32};
  return splits;
}

ConvMmaChoice conv_mma_choice(const ConvProblem& p, const DeviceInfo& device, int tile_index, int splits) {
  const TileFacts& tile = tiles[static_cast<std::size_t>(tile_index)];
  ConvMmaChoice choice;
  if (static_cast<std::size_t>(tile.shared_bytes) > device.shared_bytes_per_block) return choice;
  const std::int64_t stages = div_up(p.R * p.S * p.C / elements_per_chunk(p), tile.row_bytes / 16);
  choice.block_m = tile.block_m;
  choice.block_n = tile.block_n;
  choice.blocks = div_up(p.N * p.P * p.Q, tile.block_m) * div_up(p.K, tile.block_n);
  choice.steps = static_cast<int>(div_up(stages, splits));
  choice.splits = static_cast<int>(div_up(stages, choice.steps));
  if (choice.splits > 1 && choice.blocks > semaphore_count) return choice;
  choice.tile = tile_index;
  choice.us = model_us(p, device, tile, choice);
  return choice;
}

ConvMmaChoice conv_mma_choice(const ConvProblem& problem, const DeviceInfo& device) {
  ConvMmaChoice best;
  for (int tile = 0; tile < conv_mma_tiles(); ++tile) {
    for (const int splits : conv_mma_splits()) {
      if (splits > 1 && problem.batch_invariant) break;  // as many as the batch leaves room for
      const ConvMmaChoice choice = conv_mma_choice(problem, device, tile, splits);
      if (choice.ok() && (!best.ok() || choice.us < best.us)) best = choice;
    }
  }
  return best;
}

std::size_t conv_mma_workspace_bytes(const ConvMmaChoice& choice) {
  if (choice.splits == 1) return 0;
  return static_cast<std::size_t>(choice.blocks) * static_cast<std::size_t>(choice.splits * choice.block_m) *
         static_cast<std::size_t>(choice.block_n) * sizeof(float);
}

cudaError_t launch_conv_mma(const ConvProblem& p, const ConvMmaChoice& choice, const Operands& operands,
                            const LaunchTarget& target) {
  if (!choice.ok()) return cudaErrorNotSupported;
  if (const cudaError_t error = check_operands(p, operands); error != cudaSuccess) return error;
  if (choice.splits > 1 && (!operands.workspace || !operands.semaphores)) return cudaErrorInvalidValue;
  if (!is_aligned(operands.x, 16) || !is_aligned(operands.weight, 16) || !is_aligned(operands.workspace, 16))
    return cudaErrorMisalignedAddress;

  const auto as_int = [](std::int64_t value) { return static_cast<int>(value); };
  const TileFacts& tile = tiles[static_cast<std::size_t>(choice.tile)];
  const std::int64_t chunk = elements_per_chunk(p), stage_chunks = tile.row_bytes / 16;
  const std::int64_t pixel_chunks = p.C / chunk;
  Params params;
  params.x = static_cast<const unsigned char*>(operands.x);
  params.weight = static_cast<const unsigned char*>(operands.weight);
  params.partials = static_cast<float*>(operands.workspace);
  params.semaphores = operands.semaphores;
  params.epilogue = make_epilogue(p.epilogue, p.out, operands);
  params.rows = as_int(p.N * p.P * p.Q);
  params.columns = as_int(p.K);
  params.steps = choice.steps;
  params.splits = choice.splits;
  params.shared_bytes = static_cast<unsigned>(tile.shared_bytes);
  params.deep = tile.deep;
  params.reduction_chunks = as_int(p.R * p.S * pixel_chunks);
  params.image_chunks = as_int(p.H * p.W * pixel_chunks);
  params.row_chunks = as_int(p.W * pixel_chunks);
  params.pixel_chunks = as_int(pixel_chunks);
  params.H = as_int(p.H);
  params.W = as_int(p.W);
  params.R = as_int(p.R);
  params.S = as_int(p.S);
  params.stride_h = as_int(p.stride_h);
  params.stride_w = as_int(p.stride_w);
  params.pad_top = as_int(p.pad_top);
  params.pad_left = as_int(p.pad_left);
  params.dilation_h = as_int(p.dilation_h);
  params.dilation_w = as_int(p.dilation_w);
  params.step_c = as_int(stage_chunks % pixel_chunks);
  params.step_s = as_int(stage_chunks / pixel_chunks % p.S);
  params.step_r = as_int(stage_chunks / pixel_chunks / p.S);
  params.column_blocks = dev::Divider(div_up(p.K, choice.block_n));
  params.positions = dev::Divider(p.P * p.Q);
  params.Q = dev::Divider(p.Q);
  params.by_pixel_chunks = dev::Divider(pixel_chunks);
  params.by_S = dev::Divider(p.S);
  const bool one_tap = is_one_tap(p);
  return with_mma_type(p.precision, [&]<class T>() { return launch_type<T>(choice, params, one_tap, target.stream); });
}

extern constinit const Kernel conv_mma =
    make_kernel<ConvProblem, supports, estimate_us, workspace_bytes, launch>("conv_mma", mma_weights, Unit::matrix);

}  // namespace resnet::kernels
