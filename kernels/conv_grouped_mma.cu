// Grouped convolution on the matrix unit: as many inputs as outputs per group, 64, 32 or a divisor of 16 of them; any
// filter, stride, dilation and padding; fp16, bf16 and tf32.
//
// A group is narrower than a K step, so groups are bundled: `bundle` (16, 32 or 64) channels times the same channels as
// a dense product whose filter is block-diagonal, with zeros packed in between. Such layers are bound by memory up to a
// width of 4 and beyond, so the wasted multiplications cost nothing as long as the input is read once: a block walks
// over tiles of output positions for one strip of channels (128 bytes of a position), keeps the strip's whole filter in
// shared memory and copies the input under a tile (halo, zeros outside the image) by cp.async. Every tap then reads its
// operand A from the halo through ldmatrix, whose row addresses are the positions themselves.
//
// The zeros of the filter meet other groups' inputs, and zero times infinity is NaN: in bundles of several groups, a
// sum that is not finite is formed anew from its own group's inputs, one by one.
//
// 4 warps, each `row_tiles` times 16 positions x strip. Tiles are 8x16 or 16x8 (row_tiles = 2), 4x16 or 8x8 (1).
// 3 blocks per multiprocessor where shared memory allows.
// Budget: conv_grouped_mma_kernel 168 registers, 232448 bytes of shared memory
// Shared memory: filter R S x strip x bundle, halo positions x 128 bytes, both swizzled; the stores turn their rows
// around in the halo's memory. 3x3 of width 4 ... 16, stride 1, 16 bit: 18 + 23 KB; stride 2, 4x16: 18 + 38 KB.
//
// Needed by ResNeXt; and by the 3x3 layers of 64 channels of every ResNet at larger batches, as one group: conv_mma
// would read their input nine times through L2, which bounds it there.

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/checked.hpp"
#include "kernels/device/divider.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/mma_support.hpp"
#include "kernels/mma_tile.hpp"
#include "kernels/weight_packs.hpp"

namespace resnet::kernels {
namespace {

constexpr int warps = 4, threads = 32 * warps, blocks = 3, position_bytes = 128, position_chunks = position_bytes / 16;

template <class Type, int bundle_, int row_tiles_>
struct Grouped {
  using T = Type;
  static constexpr int element = static_cast<int>(sizeof(T));
  static constexpr int bundle = bundle_, row_tiles = row_tiles_;
  static constexpr int strip = position_bytes / element;     ///< channels of a block
  static constexpr int bundles = strip / bundle;             ///< in a strip
  static constexpr int k_steps = bundle * element / 32;      ///< of a bundle
  static constexpr int column_tiles = bundle / 8;            ///< of a bundle
  static constexpr int filter_row_bytes = bundle * element;  ///< one output channel, one tap
  static constexpr int filter_tap_bytes = strip * filter_row_bytes;
  static_assert(bundles * bundle == strip && k_steps > 0 && column_tiles % 2 == 0 && filter_tap_bytes % 1024 == 0);
  /// A store takes one of a warp's groups of 16 positions.
  using StoreTile = MmaTile<T, 16 * warps, strip, warps, 1, 64, 1, blocks>;
};

/// sm_75 needs two instructions per K step and runs out of registers with two row tiles.
template <class Shape>
RESNET_DEVICE constexpr bool built() {
  return dev::mma_available<typename Shape::T>() && (Shape::row_tiles == 1 || dev::shared_limit() > 64 * 1024);
}

struct Params {
  const unsigned char* x = nullptr;
  const unsigned char* weight = nullptr;
  dev::Epilogue epilogue;
  int tiles = 0, tile_p = 0, tile_q_bits = 0;  ///< a tile has 2^tile_q_bits columns
  int width = 0;                               ///< of a group
  int H = 0, W = 0, C = 0, P = 0, Q = 0, R = 0, S = 0;
  int stride_h = 1, stride_w = 1, pad_top = 0, pad_left = 0, dilation_h = 1, dilation_w = 1;
  int halo_width = 0, halo_positions = 0;
  unsigned filter_bytes = 0, halo_bytes = 0;
  dev::Divider tiles_per_image, tiles_per_row, by_halo_width;
};

/// The input under a tile whose first position is (h, w); a thread keeps its chunk of the strip.
RESNET_DEVICE void copy_halo(const Params& p, unsigned char* halo, int n, int h, int w, int first_channel,
                             int channels) {
  const int thread = static_cast<int>(dev::thread_index()), chunk = thread % position_chunks;
  const std::int64_t position_stride = static_cast<std::int64_t>(p.C) * (position_bytes / channels);
  const unsigned char* const image = p.x + static_cast<std::int64_t>(n) * p.H * p.W * position_stride +
                                     first_channel * (position_bytes / channels) + chunk * 16;
  const bool inside_strip = first_channel + chunk * (channels / position_chunks) < p.C;
  RESNET_NO_UNROLL
  for (int position = thread / position_chunks; position < p.halo_positions; position += threads / position_chunks) {
    int row, column;
    p.by_halo_width.split(position, row, column);
    const int in_h = h + row, in_w = w + column;
    const bool valid = inside_strip && in_h >= 0 && in_h < p.H && in_w >= 0 && in_w < p.W;
    const std::int64_t offset = valid ? (static_cast<std::int64_t>(in_h) * p.W + in_w) * position_stride : 0;
    dev::cp_async16(halo + dev::swizzled<position_bytes>(static_cast<unsigned>(position), static_cast<unsigned>(chunk)),
                    valid ? image + offset : p.x, valid ? 16 : 0);
  }
}

RESNET_DEVICE bool is_finite(float value) { return (dev::to_bits(value) & 0x7f800000u) != 0x7f800000u; }

template <class T>
RESNET_DEVICE float operand(T value) {
  if constexpr (sizeof(T) == 4) {
    return dev::from_bits<float>(dev::round_to_tf32(dev::to_bits(value.value)));
  } else {
    return dev::to_float(value);
  }
}

/// Output (n, p, q, k) by definition, from global memory.
template <class Shape>
RESNET_DEVICE float direct_sum(const Params& p, int n, int out_p, int out_q, int k) {
  using T = typename Shape::T;
  const int first_input = k / p.width * p.width;
  const T* const weight =
      reinterpret_cast<const T*>(p.weight + static_cast<std::int64_t>(k / Shape::strip) * p.filter_bytes) +
      k % Shape::strip * Shape::bundle + first_input % Shape::bundle;
  const T* const image = reinterpret_cast<const T*>(p.x) + static_cast<std::int64_t>(n) * p.H * p.W * p.C + first_input;
  float sum = 0;
  RESNET_NO_UNROLL
  for (int r = 0; r < p.R; ++r) {
    RESNET_NO_UNROLL
    for (int s = 0; s < p.S; ++s) {
      const int h = out_p * p.stride_h - p.pad_top + r * p.dilation_h;
      const int w = out_q * p.stride_w - p.pad_left + s * p.dilation_w;
      if (h < 0 || h >= p.H || w < 0 || w >= p.W) continue;
      const T* const x = image + (static_cast<std::int64_t>(h) * p.W + w) * p.C;
      const T* const tap = weight + static_cast<std::int64_t>(r * p.S + s) * Shape::strip * Shape::bundle;
      RESNET_NO_UNROLL
      for (int i = 0; i < p.width; ++i) sum = fmaf(operand(x[i]), operand(tap[i]), sum);
    }
  }
  return sum;
}

template <class Shape>
RESNET_KERNEL(threads, blocks)
conv_grouped_mma_kernel(RESNET_PARAMS(Params) p) {
  using T = typename Shape::T;
  using StoreTile = typename Shape::StoreTile;
  if constexpr (built<Shape>()) {
    constexpr int row_bytes = Shape::filter_row_bytes, row_chunks = row_bytes / 16, row_tiles = Shape::row_tiles;
    dev::SharedArena arena;
    auto* const filter = arena.allocate<unsigned char>(p.filter_bytes, 1024);
    auto* const halo = arena.allocate<unsigned char>(p.halo_bytes, 1024);
    const int thread = static_cast<int>(dev::thread_index()), lane = thread % 32, warp = thread / 32;
    const int first_channel = static_cast<int>(dev::block_index().y) * Shape::strip;
    const unsigned char* const weight = p.weight + static_cast<std::int64_t>(dev::block_index().y) * p.filter_bytes;
    const int filter_chunks = static_cast<int>(p.filter_bytes / 16);
    for (int i = thread; i < filter_chunks; i += threads) {
      const auto row = static_cast<unsigned>(i / row_chunks), chunk = static_cast<unsigned>(i % row_chunks);
      dev::cp_async16(filter + dev::swizzled<row_bytes>(row, chunk), weight + static_cast<std::int64_t>(i) * 16);
    }

    // Positions of this lane's operand rows in the halo, for the first tap.
    const int q_mask = (1 << p.tile_q_bits) - 1;
    int positions[row_tiles];
    RESNET_UNROLL
    for (int i = 0; i < row_tiles; ++i) {
      const int row = (warp * row_tiles + i) * 16 + lane % 16;
      positions[i] = (row >> p.tile_q_bits) * p.stride_h * p.halo_width + (row & q_mask) * p.stride_w;
    }
    const unsigned a_chunk = static_cast<unsigned>(lane / 16), b_chunk = static_cast<unsigned>(lane / 8 % 2);
    const unsigned b_row = static_cast<unsigned>(lane % 8 + 8 * (lane / 16));

    const int tiles = p.tiles, grid = static_cast<int>(dev::grid_size().x);
    RESNET_NO_UNROLL
    for (int tile = static_cast<int>(dev::block_index().x); tile < tiles; tile += grid) {
      int n, in_image, tile_row, tile_column;
      p.tiles_per_image.split(tile, n, in_image);
      p.tiles_per_row.split(in_image, tile_row, tile_column);
      const int first_p = tile_row * p.tile_p, first_q = tile_column << p.tile_q_bits;
      copy_halo(p, halo, n, first_p * p.stride_h - p.pad_top, first_q * p.stride_w - p.pad_left, first_channel,
                Shape::strip);
      dev::cp_async_commit();
      dev::cp_async_wait<0>();
      dev::sync_threads();

      float c[Shape::bundles][row_tiles][Shape::column_tiles][4];
      RESNET_UNROLL
      for (int bundle = 0; bundle < Shape::bundles; ++bundle) {
        RESNET_UNROLL
        for (int i = 0; i < row_tiles * Shape::column_tiles * 4; ++i)
          c[bundle][i / 4 / Shape::column_tiles][i / 4 % Shape::column_tiles][i % 4] = 0;
      }
      const unsigned char* taps = filter;
      RESNET_NO_UNROLL
      for (int r = 0; r < p.R; ++r) {
        RESNET_NO_UNROLL
        for (int s = 0; s < p.S; ++s) {
          const int tap = r * p.dilation_h * p.halo_width + s * p.dilation_w;
          RESNET_UNROLL
          for (int step = 0; step < Shape::bundles * Shape::k_steps; ++step) {
            const int bundle = step / Shape::k_steps, k_step = step % Shape::k_steps;
            std::uint32_t a[row_tiles][4], b[Shape::column_tiles][2];
            const void* a_address[row_tiles];
            const void* b_address[Shape::column_tiles / 2];
            RESNET_UNROLL
            for (int i = 0; i < row_tiles; ++i)
              a_address[i] = halo + dev::swizzled<position_bytes>(static_cast<unsigned>(positions[i] + tap),
                                                                  static_cast<unsigned>(2 * step) + a_chunk);
            RESNET_UNROLL
            for (int j = 0; j < Shape::column_tiles / 2; ++j)
              b_address[j] =
                  taps + dev::swizzled<row_bytes>(static_cast<unsigned>(bundle * Shape::bundle + j * 16) + b_row,
                                                  static_cast<unsigned>(2 * k_step) + b_chunk);
            dev::ldmatrix_a(a, a_address);
            dev::ldmatrix_b(b, b_address);
            if constexpr (sizeof(T) == 4) {
              RESNET_UNROLL
              for (int i = 0; i < row_tiles * 4; ++i) a[i / 4][i % 4] = dev::round_to_tf32(a[i / 4][i % 4]);
            }
            dev::mma<T>(c[bundle], a, b);
          }
          taps += Shape::filter_tap_bytes;
        }
      }
      bool suspicious = false;
      if (Shape::bundle == 16 && p.width < 16) {
        float probe = 0;
        RESNET_UNROLL
        for (int bundle = 0; bundle < Shape::bundles; ++bundle) {
          RESNET_UNROLL
          for (int e = 0; e < row_tiles * Shape::column_tiles * 4; ++e)
            probe = fmaf(c[bundle][e / 4 / Shape::column_tiles][e / 4 % Shape::column_tiles][e % 4], 0.0f, probe);
        }
        suspicious = dev::ballot(!is_finite(probe)) != 0;
      }
      // The halo has been read: its memory serves the stores.
      dev::sync_threads();
      RESNET_UNROLL
      for (int i = 0; i < row_tiles; ++i) {
        Accumulators<StoreTile> row;
        RESNET_UNROLL
        for (int j = 0; j < Shape::strip / 8; ++j) {
          RESNET_UNROLL
          for (int e = 0; e < 4; ++e) row[0][j][e] = c[j / Shape::column_tiles][i][j % Shape::column_tiles][e];
        }
        const auto position_of = [&](int index, int& out_p, int& out_q) {
          const int m = (index / 16 * row_tiles + i) * 16 + index % 16;
          out_p = first_p + (m >> p.tile_q_bits);
          out_q = first_q + (m & q_mask);
        };
        const auto output_row = [&](int index) -> std::int64_t {
          int out_p, out_q;
          position_of(index, out_p, out_q);
          if (out_p >= p.P || out_q >= p.Q) return -1;
          return (static_cast<std::int64_t>(n) * p.P + out_p) * p.Q + out_q;
        };
        dev::sync_warp();
        float* const staged = stage_tile<StoreTile>(row, halo);
        if (suspicious) {
          // A lane mends what it will store.
          constexpr int lanes_per_row = Shape::strip / 8;
          const int group = lane % lanes_per_row;
          RESNET_NO_UNROLL
          for (int in_warp = lane / lanes_per_row; in_warp < 16; in_warp += 32 / lanes_per_row) {
            int out_p, out_q;
            position_of(warp * 16 + in_warp, out_p, out_q);
            float* const words = staged + store_word<Shape::strip>(in_warp, group);
            RESNET_NO_UNROLL
            for (int e = 0; e < 8; ++e) {
              const int k = first_channel + group * 8 + e;
              if (out_p < p.P && out_q < p.Q && k < p.C && !is_finite(words[e]))
                words[e] = direct_sum<Shape>(p, n, out_p, out_q, k);
            }
          }
        }
        store_staged<StoreTile>(staged, p.epilogue, output_row, p.C, first_channel);
      }
      dev::sync_threads();
    }
  } else {
    dev::trap("this target has no such tile");
  }
}

/// Output positions of a block.
struct Tile {
  int row_tiles = 0, tile_p = 0, tile_q_bits = 0;
  std::int64_t tiles = 0, halo_height = 0, halo_width = 0;
  std::int64_t filter_bytes = 0, halo_bytes = 0;
  std::int64_t shared_bytes() const { return filter_bytes + halo_bytes; }
};

std::int64_t bundle_of(const ConvProblem& p) { return std::max<std::int64_t>(16, p.C / p.groups); }
std::int64_t strip_of(const ConvProblem& p) { return position_bytes / static_cast<std::int64_t>(size_of(p.in)); }

Tile make_tile(const ConvProblem& p, int row_tiles, int tile_q_bits) {
  constexpr std::int64_t page = 1024;
  Tile tile;
  tile.row_tiles = row_tiles;
  tile.tile_q_bits = tile_q_bits;
  const std::int64_t tile_q = std::int64_t{1} << tile_q_bits, tile_p = 16 * warps * row_tiles / tile_q;
  tile.tile_p = static_cast<int>(tile_p);
  tile.tiles = p.N * div_up(p.P, tile_p) * div_up(p.Q, tile_q);
  tile.halo_height = (tile_p - 1) * p.stride_h + (p.R - 1) * p.dilation_h + 1;
  tile.halo_width = (tile_q - 1) * p.stride_w + (p.S - 1) * p.dilation_w + 1;
  tile.filter_bytes = p.R * p.S * strip_of(p) * bundle_of(p) * static_cast<std::int64_t>(size_of(p.in));
  const std::int64_t store_bytes = 16 * warps * strip_of(p) * 4;
  tile.halo_bytes = std::max(div_up(tile.halo_height * tile.halo_width * position_bytes, page) * page, store_bytes);
  return tile;
}

/// The tile that computes and loads least, as far as it fits; tiles = 0 where none does.
Tile choose_tile(const ConvProblem& p, const DeviceInfo& device) {
  Tile best;
  double best_cost = 0;
  for (const int row_tiles : {2, 1}) {
    if (row_tiles == 2 && device.sm < 80) continue;
    for (const int tile_q_bits : {4, 3}) {
      const Tile tile = make_tile(p, row_tiles, tile_q_bits);
      if (static_cast<std::size_t>(tile.shared_bytes()) > device.shared_bytes_per_block) continue;
      const double work = 64.0 * warps * row_tiles + static_cast<double>(tile.halo_height * tile.halo_width) + 64;
      const double cost = static_cast<double>(tile.tiles) * work *
                          (resident_blocks(device, tile.shared_bytes(), blocks) == 1 ? 1.5 : 1);
      if (best.tiles == 0 || cost < best_cost) best = tile, best_cost = cost;
    }
  }
  return best;
}

Support supports(const ConvProblem& p, const DeviceInfo& device) {
  constexpr std::int64_t limit = std::int64_t{1} << 29, filter_limit = 1 << 10;
  if (Support operands = mma_operands(p.precision, p.in, p.out, device); !operands) return operands;
  const std::int64_t widest = strip_of(p);
  if (p.groups < 2 && (p.C != widest || widest != 64))
    return Support::no("groups must be at least 2, or 1 of 64 channels with 16-bit operands");
  if (p.C != p.K)
    return Support::no("C and K must be equal, are " + std::to_string(p.C) + " and " + std::to_string(p.K));
  const std::int64_t width = p.C / p.groups;
  if (16 % width != 0 && (width > widest || (width != 32 && width != 64)))
    return Support::no("the width of a group must divide 16 or be 32 or, with 16-bit operands, 64, is " +
                       std::to_string(width));
  const std::int64_t chunk = 16 / static_cast<std::int64_t>(size_of(p.in));
  if (p.C % chunk != 0)
    return Support::no("C must be a multiple of " + std::to_string(chunk) + ", is " + std::to_string(p.C));
  for (const std::int64_t side : {p.H, p.W, p.P, p.Q, p.C, p.pad_top, p.pad_left}) {
    if (side >= limit) return Support::no("H, W, P, Q, C and padding must be below 2^29");
  }
  for (const std::int64_t side : {p.R, p.S, p.stride_h, p.stride_w, p.dilation_h, p.dilation_w}) {
    if (side >= filter_limit) return Support::no("filter, stride and dilation must be below 2^10");
  }
  if (p.P * p.stride_h >= limit || p.Q * p.stride_w >= limit)
    return Support::no("the input that the filter visits must be below 2^29 on a side");
  if (div_up(p.C, widest) > 65535) return Support::no("C must be at most 65535 strips of 128 bytes");
  const Tile tile = choose_tile(p, device);
  if (tile.tiles == 0) return Support::no("filter and input of a tile do not fit the shared memory of a block");
  if (p.N >= limit || p.N * div_up(p.P, 4) >= limit || tile.tiles >= limit)
    return Support::no("the output must be below 2^29 tiles");
  return Support::yes();
}

double estimate_us(const ConvProblem& p, const DeviceInfo& device) {
  const Tile tile = choose_tile(p, device);
  const double strips = static_cast<double>(div_up(p.C, strip_of(p)));
  const double bundle = static_cast<double>(bundle_of(p)), rows = 16.0 * tile.row_tiles;
  const double macs = rows * warps * static_cast<double>(p.R * p.S * strip_of(p)) * bundle;
  // What the operands' way through shared memory (128 bytes per clock) leaves of the matrix unit's rate.
  const double efficiency = std::min(0.6, 0.9 * 128 / ((2 / rows + 2 / bundle) * matrix_macs_per_clock(device)));
  return tiled_us(device, p.precision, static_cast<double>(tile.tiles) * strips, macs,
                  resident_blocks(device, tile.shared_bytes(), blocks), efficiency, least_bytes(p));
}

template <class Shape>
cudaError_t launch_shape(const Params& params, const ConvProblem& p, const Tile& tile, const LaunchTarget& target) {
  const auto strips = static_cast<unsigned>(div_up(p.C, Shape::strip));
  // Twice as many as fit at once, whether one, two or three fit: late blocks even out the early ones.
  const auto grid = static_cast<unsigned>(std::max(target.device->multiprocessors, 1) * 6);
  LaunchShape shape;
  shape.blocks_x = std::min(static_cast<unsigned>(tile.tiles), (grid + strips - 1) / strips);
  shape.blocks_y = strips;
  shape.threads = threads;
  shape.shared_bytes = static_cast<std::size_t>(tile.shared_bytes());
  return launch_kernel("conv_grouped_mma", conv_grouped_mma_kernel<Shape>, shape, target.stream, params);
}

template <class T, int row_tiles>
cudaError_t launch_bundle(const Params& params, const ConvProblem& p, const Tile& tile, const LaunchTarget& target) {
  switch (bundle_of(p)) {
    case 16:
      return launch_shape<Grouped<T, 16, row_tiles>>(params, p, tile, target);
    case 32:
      return launch_shape<Grouped<T, 32, row_tiles>>(params, p, tile, target);
    default:
      if constexpr (sizeof(T) == 2) return launch_shape<Grouped<T, 64, row_tiles>>(params, p, tile, target);
      return cudaErrorNotSupported;
  }
}

template <class T>
cudaError_t launch_type(const Params& params, const ConvProblem& p, const Tile& tile, const LaunchTarget& target) {
  return tile.row_tiles == 2 ? launch_bundle<T, 2>(params, p, tile, target)
                             : launch_bundle<T, 1>(params, p, tile, target);
}

cudaError_t launch(const ConvProblem& p, const Operands& operands, const LaunchTarget& target) {
  if (!is_aligned(operands.x, 16) || !is_aligned(operands.weight, 16)) return cudaErrorMisalignedAddress;
  const auto as_int = [](std::int64_t value) { return static_cast<int>(value); };
  const Tile tile = choose_tile(p, *target.device);
  Params params;
  params.x = static_cast<const unsigned char*>(operands.x);
  params.weight = static_cast<const unsigned char*>(operands.weight);
  params.epilogue = make_epilogue(p.epilogue, p.out, operands);
  params.tiles = as_int(tile.tiles);
  params.tile_p = tile.tile_p;
  params.width = as_int(p.C / p.groups);
  params.tile_q_bits = tile.tile_q_bits;
  params.H = as_int(p.H);
  params.W = as_int(p.W);
  params.C = as_int(p.C);
  params.P = as_int(p.P);
  params.Q = as_int(p.Q);
  params.R = as_int(p.R);
  params.S = as_int(p.S);
  params.stride_h = as_int(p.stride_h);
  params.stride_w = as_int(p.stride_w);
  params.pad_top = as_int(p.pad_top);
  params.pad_left = as_int(p.pad_left);
  params.dilation_h = as_int(p.dilation_h);
  params.dilation_w = as_int(p.dilation_w);
  params.halo_width = as_int(tile.halo_width);
  params.halo_positions = as_int(tile.halo_height * tile.halo_width);
  params.filter_bytes = static_cast<unsigned>(tile.filter_bytes);
  params.halo_bytes = static_cast<unsigned>(tile.halo_bytes);
  const std::int64_t tile_q = std::int64_t{1} << tile.tile_q_bits;
  params.tiles_per_image = dev::Divider(div_up(p.P, tile.tile_p) * div_up(p.Q, tile_q));
  params.tiles_per_row = dev::Divider(div_up(p.Q, tile_q));
  params.by_halo_width = dev::Divider(tile.halo_width);
  return with_mma_type(p.precision, [&]<class T>() { return launch_type<T>(params, p, tile, target); });
}

std::size_t packed_bytes(const Problem& problem) {
  const auto* const p = std::get_if<ConvProblem>(&problem);
  if (!p) return 0;
  const std::int64_t channels = div_up(p->C, strip_of(*p)) * strip_of(*p);
  return static_cast<std::size_t>(channels * p->R * p->S * bundle_of(*p)) * size_of(p->in);
}

/// [strip][tap][channel of the strip][input of its bundle], zeros for the inputs of other groups.
void pack(const Problem& problem, std::span<const float> values, std::byte* out) {
  const auto& p = std::get<ConvProblem>(problem);
  std::memset(out, 0, packed_bytes(problem));
  std::vector<std::byte> plain(plain_bytes(problem));
  pack_mma_weights(problem, values, plain.data());
  const std::int64_t width = p.C / p.groups, bundle = bundle_of(p), strip = strip_of(p), taps = p.R * p.S;
  const std::size_t element = size_of(p.in), row_bytes = static_cast<std::size_t>(width) * element;
  for (std::int64_t k = 0; k < p.K; ++k) {
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      const std::int64_t row = (k / strip * taps + tap) * strip + k % strip;
      const std::int64_t first_input = k / width * width % bundle;
      std::memcpy(out + static_cast<std::size_t>(row * bundle + first_input) * element,
                  plain.data() + static_cast<std::size_t>(k * taps + tap) * row_bytes, row_bytes);
    }
  }
}

}  // namespace

extern constinit const Kernel conv_grouped_mma =
    make_kernel<ConvProblem, supports, estimate_us, no_workspace<ConvProblem>, launch>(
        "conv_grouped_mma", {"grouped", packed_bytes, pack}, Unit::matrix);

}  // namespace resnet::kernels
