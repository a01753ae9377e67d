// The same values in another type, layout or channel padding, with an optional scale and shift per channel. Three
// functions; the first takes everything, the others are faster where they apply.
//
// convert_kernel: a thread makes 8 consecutive elements of the output's memory at a time, a grid apart. Where both
// sides have the same order they are read as vectors, else one by one.
//
// convert_pixels_kernel: u8 pixels of 3 channels to NHWC of 3, 4 or 8 channels, that is the network's input from a
// picture in one pass. A thread takes 8 neighbouring pixels: 6 words in, 3 to 16 vectors out.
//
// transpose_kernel: NHWC <-> NCHW with 8 channels or more. A block of 256 threads moves a tile of 32 positions x 32
// channels through shared memory, [32][33] f32 (the odd row length keeps columns free of bank conflicts).
//
// Budget: convert_kernel 64 registers
// Budget: convert_pixels_kernel 80 registers
// Budget: transpose_kernel 40 registers, 4224 bytes of shared memory
#include "kernels/device/divider.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/refusals.hpp"
#include "kernels/streaming.hpp"

namespace resnet::kernels {
namespace {

constexpr int threads = 256, count = item_elements;
constexpr int pixels = 8, tile = 32;

/// One side's memory.
struct Side {
  DType type;
  bool nhwc;
  bool vectors;
  std::int64_t channels;  ///< in memory
};

struct Params {
  const void* x;
  void* y;
  const float* scale;
  const float* shift;
  Side in, out;
  std::int64_t N, positions, C;
  std::int64_t elements;  ///< of the output's memory
  bool same_order;        ///< element i of the output is element i of the input
  bool by_element;        ///< coordinates matter
  dev::WideDivider by_out_channels, by_positions;
};

RESNET_DEVICE std::int64_t offset_of(const Side& side, std::int64_t positions, std::int64_t n, std::int64_t position,
                                     std::int64_t c) {
  return side.nhwc ? (n * positions + position) * side.channels + c : (n * side.channels + c) * positions + position;
}

RESNET_DEVICE float affine(const Params& p, float value, std::int64_t c) {
  return p.scale ? fmaf(value, p.scale[c], p.shift[c]) : value;
}

RESNET_KERNEL(threads, 4) convert_kernel(RESNET_PARAMS(Params) p) {
  for (std::int64_t item = first_item(); item * count < p.elements; item += item_stride()) {
    const std::int64_t first = item * count;
    const int valid = p.elements - first < count ? static_cast<int>(p.elements - first) : count;
    float values[count] = {};
    if (p.same_order) dev::load_elements(values, p.in.type, p.x, first, valid, p.in.vectors);
    if (p.by_element) {
      std::int64_t n, position, c, rest;
      if (p.out.nhwc) {
        p.by_out_channels.split(first, rest, c);
        p.by_positions.split(rest, n, position);
      } else {
        p.by_positions.split(first, rest, position);
        p.by_out_channels.split(rest, n, c);
      }
      RESNET_UNROLL
      for (int i = 0; i < count; ++i) {
        if (i >= valid) continue;
        if (c >= p.C) {
          values[i] = 0;
        } else {
          float value[1] = {values[i]};
          if (!p.same_order) {
            dev::load_elements(value, p.in.type, p.x, offset_of(p.in, p.positions, n, position, c), 1, false);
          }
          values[i] = affine(p, value[0], c);
        }
        if (p.out.nhwc) {
          if (++c == p.out.channels) c = 0, ++position;
          if (position == p.positions) position = 0, ++n;
        } else {
          if (++position == p.positions) position = 0, ++c;
          if (c == p.out.channels) c = 0, ++n;
        }
      }
    }
    dev::store_elements(values, p.out.type, p.y, first, valid, p.out.vectors);
  }
}

template <int channels>
RESNET_KERNEL(threads, 3)
convert_pixels_kernel(RESNET_PARAMS(Params) p) {
  float scale[3] = {1, 1, 1}, shift[3] = {};
  if (p.scale) {
    RESNET_UNROLL
    for (int c = 0; c < 3; ++c) scale[c] = p.scale[c], shift[c] = p.shift[c];
  }
  const std::int64_t all = p.N * p.positions;
  for (std::int64_t item = first_item(); item * pixels < all; item += item_stride()) {
    const std::int64_t first = item * pixels;
    const int valid = all - first < pixels ? static_cast<int>(all - first) : pixels;
    const auto* const source = static_cast<const std::uint8_t*>(p.x) + first * 3;
    std::uint8_t bytes[3 * pixels];
    if (p.in.vectors && valid == pixels) {
      RESNET_UNROLL
      for (int i = 0; i < 3 * pixels; i += 4) {
        const std::uint32_t word = dev::load4(source + i);
        memcpy(bytes + i, &word, 4);
      }
    } else {
      RESNET_UNROLL
      for (int i = 0; i < 3 * pixels; ++i) bytes[i] = i < 3 * valid ? source[i] : std::uint8_t{0};
    }
    // 8 elements at a time, whatever pixels they belong to.
    RESNET_UNROLL
    for (int done = 0; done < channels * pixels; done += count) {
      float values[count];
      RESNET_UNROLL
      for (int i = 0; i < count; ++i) {
        const int pixel = (done + i) / channels, c = (done + i) % channels;
        values[i] = c < 3 ? fmaf(dev::to_float(bytes[3 * pixel + c]), scale[c], shift[c]) : 0.0f;
      }
      const int left = valid * channels - done;
      dev::store_elements(values, p.out.type, p.y, first * channels + done, left < count ? left : count, p.out.vectors);
    }
  }
}

/// Both sides as a matrix per image: rows of the input are columns of the output.
RESNET_KERNEL(threads, 4) transpose_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const values = arena.allocate<float>(tile * (tile + 1));
  const int row = static_cast<int>(dev::thread_index()) / tile, column = static_cast<int>(dev::thread_index()) % tile;
  const std::int64_t padded = p.out.channels;  // pad channels are written too
  const std::int64_t tiles_c = (padded + tile - 1) / tile, tiles_p = (p.positions + tile - 1) / tile;
  const std::int64_t tiles = p.N * tiles_c * tiles_p;
  for (std::int64_t index = dev::block_index().x; index < tiles; index += dev::grid_size().x) {
    const std::int64_t tile_c = index % tiles_c * tile, tile_p = index / tiles_c % tiles_p * tile;
    const std::int64_t n = index / tiles_c / tiles_p;
    RESNET_NO_UNROLL
    for (int i = row; i < tile; i += threads / tile) {
      // Threads along the fast axis of the input.
      const std::int64_t position = tile_p + (p.in.nhwc ? i : column), c = tile_c + (p.in.nhwc ? column : i);
      float value[1] = {};
      if (position < p.positions && c < p.C) {
        dev::load_elements(value, p.in.type, p.x, offset_of(p.in, p.positions, n, position, c), 1, false);
        value[0] = affine(p, value[0], c);
      }
      values[i * (tile + 1) + column] = value[0];
    }
    dev::sync_threads();
    RESNET_NO_UNROLL
    for (int i = row; i < tile; i += threads / tile) {
      const std::int64_t position = tile_p + (p.out.nhwc ? i : column), c = tile_c + (p.out.nhwc ? column : i);
      const float value[1] = {values[column * (tile + 1) + i]};
      if (position < p.positions && c < padded) {
        dev::store_elements(value, p.out.type, p.y, offset_of(p.out, p.positions, n, position, c), 1, false);
      }
    }
    dev::sync_threads();
  }
}

std::int64_t positions_of(const ConvertProblem& p) { return p.in.dims.h * p.in.dims.w; }

Support takes(const ValueDesc& desc, const char* what) {
  if (!is_float(desc.dtype) && desc.dtype != DType::u8) {
    return Support::no(std::string(what) + " must be u8, f32, f16 or bf16, is " + std::string(to_string(desc.dtype)));
  }
  if (desc.layout != LayoutId::nhwc && desc.layout != LayoutId::nchw) {
    return Support::no(std::string(what) + " must be NHWC or NCHW");
  }
  if (desc.scale != 1 || desc.zero_point != 0) return Support::no(std::string(what) + " must not be quantised");
  return Support::yes();
}

Support supports(const ConvertProblem& p, const DeviceInfo&) {
  if (p.in.dims != p.out.dims) return Support::no("input and output must have the same sizes");
  if (const Support in = takes(p.in, "the input"); !in) return in;
  return takes(p.out, "the output");
}

double estimate_us(const ConvertProblem& p, const DeviceInfo& device) {
  return streaming_us(device, static_cast<double>(p.in.bytes()) + static_cast<double>(p.out.bytes()));
}

Side side_of(const ValueDesc& desc, const void* data, std::int64_t positions) {
  // One position has one order.
  return {desc.dtype, desc.layout == LayoutId::nhwc || positions == 1, is_aligned(data, 16), desc.channels_in_memory()};
}

cudaError_t launch(const ConvertProblem& problem, const Operands& operands, const LaunchTarget& target) {
  Params p = {};
  p.x = operands.x;
  p.y = operands.y;
  if (problem.scale_shift) p.scale = operands.scale, p.shift = operands.shift;
  p.N = problem.in.dims.n, p.positions = positions_of(problem), p.C = problem.in.dims.c;
  p.in = side_of(problem.in, operands.x, p.positions);
  p.out = side_of(problem.out, operands.y, p.positions);
  p.elements = p.N * p.positions * p.out.channels;
  p.same_order = p.in.nhwc == p.out.nhwc && p.in.channels == p.out.channels;
  // Pad channels of the input are zero and stay so, unless a shift moves them.
  p.by_element = !p.same_order || p.scale;
  p.by_out_channels = dev::WideDivider(p.out.channels);
  p.by_positions = dev::WideDivider(p.positions);

  LaunchShape shape;
  shape.threads = threads;
  if (p.in.nhwc != p.out.nhwc && p.C >= count) {
    const std::int64_t tiles = p.N * ((p.out.channels + tile - 1) / tile) * ((p.positions + tile - 1) / tile);
    shape.blocks_x = streaming_blocks(tiles * threads, threads, 8, *target.device);
    shape.shared_bytes = sizeof(float) * tile * (tile + 1);
    return launch_kernel("transpose", transpose_kernel, shape, target.stream, p);
  }
  if (p.in.type == DType::u8 && p.in.nhwc && p.out.nhwc && p.C == 3 && p.in.channels == 3) {
    shape.blocks_x = streaming_blocks((p.N * p.positions + pixels - 1) / pixels, threads, 6, *target.device);
    p.in.vectors = is_aligned(p.x, 4);
    switch (p.out.channels) {
      case 3:
        return launch_kernel("convert_pixels", convert_pixels_kernel<3>, shape, target.stream, p);
      case 4:
        return launch_kernel("convert_pixels", convert_pixels_kernel<4>, shape, target.stream, p);
      case 8:
        return launch_kernel("convert_pixels", convert_pixels_kernel<8>, shape, target.stream, p);
      default:
        break;
    }
  }
  shape.blocks_x = streaming_blocks((p.elements + count - 1) / count, threads, 4, *target.device);
  return launch_kernel("convert", convert_kernel, shape, target.stream, p);
}

}  // namespace

extern constinit const Kernel convert =
    make_kernel<ConvertProblem, supports, estimate_us, no_workspace<ConvertProblem>, launch>("convert");

}  // namespace resnet::kernels
