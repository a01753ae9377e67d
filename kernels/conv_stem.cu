// The first convolution of a net on the matrix unit: 7x7 or 3x3, stride 2, 3 channels, fp16, bf16 and tf32.
//
// A block walks over tiles of 8 x 16 output positions and 64 output channels; its filter stays in shared memory. Per
// tile it copies the input under the tile (halo, zeros outside the image) as it lies in memory. A filter row meets 3 S
// consecutive elements of it, so that the A operand needs no im2col: with stride 2 a position is 6 elements further,
// and each register of the operand is one word of the halo. Words are counted in units (a pair of 16-bit elements or
// one tf32 element); a filter row has `units` of them, the reduction is R * units, rounded up to the K step:
//
//           units  reduction  K steps
//   7x7 16     11   154 of 160  10     (147 multiply-accumulates per output: 8 % wasted)
//   7x7 tf32   21   147 of 152  19
//   3x3 16      5    30 of 32    2
//   3x3 tf32    9    27 of 32    4
//
// The element behind an odd filter row and the units behind the last one are masked out of A: the filter has zeros
// there, but the halo may hold infinities.
//
// 4 warps, each 2 output rows of 16 positions x 64 channels; 3 blocks per multiprocessor.
// Budget: conv_stem_kernel 220 registers, 66560 bytes of shared memory; 168 registers below sm_100, where three blocks
// share a multiprocessor.
// Shared memory (7x7): filter 64 x 336 bytes (tf32: 624), halo 21 rows x 300 bytes (468), stores 16 KB: 43 KB (65 KB).
// The filter's pitch and the halo's are chosen so that ldmatrix and the operand's words are free of bank conflicts
// (tf32: two-way for the words).

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

constexpr int tile_p = 8, tile_q = 16, tile_k = 64, warps = 4, threads = 32 * warps, blocks = 3, channels = 3;

template <class Type, int filter>
struct Stem {
  using T = Type;
  static constexpr int R = filter;
  static constexpr int in_word = 4 / static_cast<int>(sizeof(T));  // elements
  static constexpr int row_elements = channels * filter;
  static constexpr int units = (row_elements + in_word - 1) / in_word;
  static constexpr int k_steps = (R * units + 7) / 8;   // 8 words per row and step
  static constexpr int filter_pitch = k_steps * 8 + 4;  // words; 4 more than a multiple of 8: no bank conflicts
  static constexpr int position_words = 2 * channels / in_word;
  static constexpr int halo_rows = 2 * (tile_p - 1) + R;
  static constexpr int halo_words = (tile_q - 1) * position_words + units;
  static constexpr int halo_written = halo_words + 3;  ///< a register's four units may end behind the last one
  // A filter row continues the banks of the one above, as if the reduction lay in one piece.
  static constexpr int halo_pitch = (halo_written - units + 31) / 32 * 32 + units;
  // A store takes one of a warp's two output rows.
  using StoreTile = MmaTile<T, 16 * warps, tile_k, warps, 1, 64, 1, blocks>;
  static constexpr int filter_bytes = tile_k * filter_pitch * 4, halo_bytes = halo_rows * halo_pitch * 4;
  static constexpr int shared_bytes = filter_bytes + (halo_bytes + 15) / 16 * 16 + StoreTile::store_bytes;
  static_assert(filter_pitch % 8 == 4 && halo_pitch >= halo_written);
};

struct Params {
  const void* x = nullptr;
  const unsigned char* weight = nullptr;
  dev::Epilogue epilogue;
  int tiles = 0, H = 0, W = 0, K = 0, P = 0, Q = 0, pad_top = 0, pad_left = 0;
  dev::Divider tiles_per_image, tiles_per_row;
};

struct TilePosition {
  int n, p, q;
  RESNET_DEVICE TilePosition(const Params& params, int tile) {
    int in_image;
    params.tiles_per_image.split(tile, n, in_image);
    params.tiles_per_row.split(in_image, p, q);
    p *= tile_p;
    q *= tile_q;
  }
};

/// The input under a tile; a warp copies every fourth row, a lane every 32nd element. All loads are under way before
/// the first store.
template <class Shape>
RESNET_DEVICE void load_halo(const Params& p, const TilePosition& at, typename Shape::T* halo) {
  using T = typename Shape::T;
  const int lane = static_cast<int>(dev::lane()), warp = static_cast<int>(dev::warp());
  const int first_h = 2 * at.p - p.pad_top, first = (2 * at.q - p.pad_left) * channels;
  const int row_elements = p.W * channels;
  constexpr int row_loads = (Shape::halo_written * Shape::in_word + 31) / 32;
  constexpr int warp_rows = (Shape::halo_rows + warps - 1) / warps;
  T values[warp_rows][row_loads];
  RESNET_UNROLL
  for (int i = 0; i < warp_rows; ++i) {
    const int h = first_h + warp + i * warps;
    const T* const row = static_cast<const T*>(p.x) + (static_cast<std::int64_t>(at.n) * p.H + h) * row_elements;
    const bool inside = h >= 0 && h < p.H && warp + i * warps < Shape::halo_rows;
    RESNET_UNROLL
    for (int j = 0; j < row_loads; ++j) {
      const int element = first + lane + j * 32;
      values[i][j] = inside && element >= 0 && element < row_elements ? row[element] : T{};
      if constexpr (sizeof(T) == 4)
        values[i][j].value = dev::from_bits<float>(dev::round_to_tf32(dev::to_bits(values[i][j].value)));
    }
  }
  RESNET_UNROLL
  for (int i = 0; i < warp_rows; ++i) {
    const int row = warp + i * warps;
    RESNET_UNROLL
    for (int j = 0; j < row_loads; ++j) {
      const int element = lane + j * 32;
      if (row < Shape::halo_rows && element < Shape::halo_written * Shape::in_word)
        halo[row * Shape::halo_pitch * Shape::in_word + element] = values[i][j];
    }
  }
}

/// The register of A for units 4 slot ... 4 slot + 3 of the reduction, of which this lane holds number t, `words`
/// behind the address of its position. `rows[n]` is that address, t words on, and in the next filter row from t = n on:
/// which of them a slot needs is known when compiling, so that no slot has registers of its own.
template <class Shape>
RESNET_DEVICE std::uint32_t load_unit(const std::uint32_t* const (&rows)[4], int words, int slot, int t) {
  constexpr int last = Shape::R * Shape::units;
  const int first = 4 * slot, in_row = first % Shape::units, left = Shape::units - in_row;
  if (first >= last) return 0;
  const std::uint32_t* const row = rows[left < 4 && first + left < last ? left : 0];
  std::uint32_t word = dev::load4(row + words + first / Shape::units * Shape::halo_pitch + in_row);
  if (Shape::row_elements % Shape::in_word != 0 && left <= 4 && t == left - 1) word &= 0xffffu;
  return first + 3 >= last && first + t >= last ? 0 : word;
}

template <class Shape>
RESNET_KERNEL(threads, dev::blocks_by_target(blocks, 2))
conv_stem_kernel(RESNET_PARAMS(Params) p) {
  using T = typename Shape::T;
  if constexpr (dev::mma_available<T>()) {
    dev::SharedArena arena;
    auto* const filter = arena.allocate<unsigned char>(Shape::filter_bytes);
    auto* const halo = arena.allocate<std::uint32_t>(Shape::halo_bytes / 4);
    auto* const turn = arena.allocate<unsigned char>(Shape::StoreTile::store_bytes);
    const int thread = static_cast<int>(dev::thread_index());
    const int lane = thread % 32, warp = thread / 32, g = lane / 4, t = lane % 4;
    const int first_channel = static_cast<int>(dev::block_index().y) * tile_k;
    const unsigned char* const weight =
        p.weight + static_cast<std::int64_t>(dev::block_index().y) * Shape::filter_bytes;
    for (int i = thread * 16; i < Shape::filter_bytes; i += threads * 16) dev::cp_async16(filter + i, weight + i);
    dev::cp_async_commit();

    const unsigned b_row = static_cast<unsigned>(lane % 8 + 8 * (lane / 16));
    const unsigned char* const b_rows = filter + b_row * Shape::filter_pitch * 4 + lane / 8 % 2 * 16;
    const std::uint32_t* rows[4];
    RESNET_UNROLL
    for (int n = 0; n < 4; ++n) {
      rows[n] = halo + 4 * warp * Shape::halo_pitch + g * Shape::position_words + t;
      if (n > 0 && t >= n) rows[n] += Shape::halo_pitch - Shape::units;
    }
    const int tiles = p.tiles, stride = static_cast<int>(dev::grid_size().x);
    RESNET_NO_UNROLL
    for (int tile = static_cast<int>(dev::block_index().x); tile < tiles; tile += stride) {
      const TilePosition at(p, tile);
      load_halo<Shape>(p, at, reinterpret_cast<T*>(halo));
      dev::cp_async_wait<0>();
      dev::sync_threads();

      float c[2][8][4];
      RESNET_UNROLL
      for (int i = 0; i < 2; ++i) {
        RESNET_UNROLL
        for (int j = 0; j < 8; ++j) {
          RESNET_UNROLL
          for (int e = 0; e < 4; ++e) c[i][j][e] = 0;
        }
      }
      RESNET_UNROLL
      for (int k_step = 0; k_step < Shape::k_steps; ++k_step) {
        std::uint32_t a[2][4], b[8][2];
        const void* b_address[4];
        RESNET_UNROLL
        for (int j = 0; j < 4; ++j) b_address[j] = b_rows + j * 16 * Shape::filter_pitch * 4 + k_step * 32;
        dev::ldmatrix_b(b, b_address);
        RESNET_UNROLL
        for (int i = 0; i < 2; ++i) {
          RESNET_UNROLL
          for (int e = 0; e < 4; ++e)
            a[i][e] = load_unit<Shape>(rows, 2 * i * Shape::halo_pitch + e % 2 * 8 * Shape::position_words,
                                       2 * k_step + e / 2, t);
        }
        dev::mma<T>(c, a, b);
      }
      // The halo has been read; the next one may come while the stores run.
      dev::sync_threads();
      RESNET_UNROLL
      for (int i = 0; i < 2; ++i) {
        Accumulators<typename Shape::StoreTile> row;
        RESNET_UNROLL
        for (int j = 0; j < 8; ++j) {
          RESNET_UNROLL
          for (int e = 0; e < 4; ++e) row[0][j][e] = c[i][j][e];
        }
        const auto output_row = [&](int index) -> std::int64_t {
          const int out_p = at.p + index / 16 * 2 + i, out_q = at.q + index % 16;
          if (out_p >= p.P || out_q >= p.Q) return -1;
          return (static_cast<std::int64_t>(at.n) * p.P + out_p) * p.Q + out_q;
        };
        dev::sync_warp();
        store_tile<typename Shape::StoreTile>(row, turn, p.epilogue, output_row, p.K, first_channel);
      }
    }
  } else {
    dev::trap("this target's matrix unit does not take the type");
  }
}

std::int64_t tiles_of(const ConvProblem& p) { return p.N * div_up(p.P, tile_p) * div_up(p.Q, tile_q); }

/// Calls `use` with the Stem of the problem.
template <class T, class Use>
auto with_filter(const ConvProblem& p, const Use& use) {
  return p.R == 7 ? use(Stem<T, 7>()) : use(Stem<T, 3>());
}
template <class Use>
auto with_shape(const ConvProblem& p, const Use& use) {
  return with_mma_type(p.precision, [&]<class T>() { return with_filter<T>(p, use); });
}

Support supports(const ConvProblem& p, const DeviceInfo& device) {
  constexpr std::int64_t limit = std::int64_t{1} << 29;
  if (Support operands = mma_operands(p.precision, p.in, p.out, device); !operands) return operands;
  if (p.C != channels || p.groups != 1)
    return Support::no("C must be 3 in one group, is " + std::to_string(p.C) + " in " + std::to_string(p.groups));
  if (p.R != p.S || (p.R != 7 && p.R != 3)) return Support::no("the filter must be 7x7 or 3x3");
  if (p.stride_h != 2 || p.stride_w != 2) return Support::no("the stride must be 2");
  if (p.dilation_h != 1 || p.dilation_w != 1) return Support::no("the dilation must be 1");
  for (const std::int64_t side : {p.H, p.W, p.P, p.Q, p.K, p.pad_top, p.pad_left}) {
    if (side >= limit) return Support::no("H, W, P, Q, K and padding must be below 2^29");
  }
  if (p.N >= limit || tiles_of(p) >= limit) return Support::no("the output must be below 2^29 tiles of 8x16");
  if (div_up(p.K, tile_k) > 65535) return Support::no("K must be at most 64 * 65535");
  const auto shared = static_cast<std::size_t>(with_shape(p, [](auto shape) { return decltype(shape)::shared_bytes; }));
  if (shared > device.shared_bytes_per_block)
    return Support::no("needs " + std::to_string(shared) + " bytes of shared memory per block");
  return Support::yes();
}

double estimate_us(const ConvProblem& p, const DeviceInfo& device) {
  const int k = with_shape(p, [](auto shape) { return decltype(shape)::k_steps; }) * (p.in == DType::f32 ? 8 : 16);
  const double macs = static_cast<double>(tile_p * tile_q * tile_k) * k;
  return tiled_us(device, p.precision, static_cast<double>(tiles_of(p) * div_up(p.K, tile_k)), macs, blocks, 0.6,
                  least_bytes(p));
}

cudaError_t launch(const ConvProblem& p, const Operands& operands, const LaunchTarget& target) {
  if (!is_aligned(operands.x, size_of(p.in)) || !is_aligned(operands.weight, 16)) return cudaErrorMisalignedAddress;
  const auto as_int = [](std::int64_t value) { return static_cast<int>(value); };
  Params params;
  params.x = operands.x;
  params.weight = static_cast<const unsigned char*>(operands.weight);
  params.epilogue = make_epilogue(p.epilogue, p.out, operands);
  params.tiles = as_int(tiles_of(p));
  params.H = as_int(p.H);
  params.W = as_int(p.W);
  params.K = as_int(p.K);
  params.P = as_int(p.P);
  params.Q = as_int(p.Q);
  params.pad_top = as_int(p.pad_top);
  params.pad_left = as_int(p.pad_left);
  params.tiles_per_image = dev::Divider(div_up(p.P, tile_p) * div_up(p.Q, tile_q));
  params.tiles_per_row = dev::Divider(div_up(p.Q, tile_q));
  return with_shape(p, [&](auto shape) {
    using Shape = decltype(shape);
    LaunchShape grid;
    // Twice as many as fit at once, whether one, two or three fit: late blocks even out the early ones.
    grid.blocks_x = static_cast<unsigned>(std::min(params.tiles, std::max(target.device->multiprocessors, 1) * 6));
    grid.blocks_y = static_cast<unsigned>(div_up(p.K, tile_k));
    grid.threads = threads;
    grid.shared_bytes = Shape::shared_bytes;
    return launch_kernel("conv_stem", conv_stem_kernel<Shape>, grid, target.stream, params);
  });
}

std::size_t packed_bytes(const Problem& problem) {
  const auto* const conv = std::get_if<ConvProblem>(&problem);
  if (!conv) return 0;
  const int block = with_shape(*conv, [](auto shape) { return decltype(shape)::filter_bytes; });
  return static_cast<std::size_t>(div_up(conv->K, tile_k)) * static_cast<std::size_t>(block);
}

/// Rows of `filter_pitch` words, K rounded up to whole blocks; filter rows of whole units; zeros in between.
void pack(const Problem& problem, std::span<const float> values, std::byte* out) {
  const auto& p = std::get<ConvProblem>(problem);
  std::memset(out, 0, packed_bytes(problem));
  std::vector<std::byte> plain(plain_bytes(problem));
  pack_mma_weights(problem, values, plain.data());
  with_shape(p, [&](auto shape) {
    using Shape = decltype(shape);
    constexpr std::size_t row_bytes = Shape::row_elements * sizeof(typename Shape::T);
    for (std::size_t row = 0; row < static_cast<std::size_t>(p.K * Shape::R); ++row) {
      const std::size_t k = row / Shape::R, r = row % Shape::R;
      std::memcpy(out + (k * Shape::filter_pitch + r * Shape::units) * 4, plain.data() + row * row_bytes, row_bytes);
    }
    return 0;
  });
}

}  // namespace

extern constinit const Kernel conv_stem =
    make_kernel<ConvProblem, supports, estimate_us, no_workspace<ConvProblem>, launch>(
        "conv_stem", {"stem", packed_bytes, pack}, Unit::matrix);

}  // namespace resnet::kernels
