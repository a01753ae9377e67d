// A border of zeros or of the mirrored input. The entry that takes every such problem.
//
// Tile: a thread makes 8 consecutive channels of one output position at a time, a grid apart, in 16-byte vectors where
// C allows it. Memory bound, no shared memory.
//
// Budget: pad_kernel 64 registers
#include "base/checked.hpp"
#include "kernels/device/divider.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/refusals.hpp"
#include "kernels/streaming.hpp"

namespace resnet::kernels {
namespace {

constexpr int threads = 256, blocks = 4, count = item_elements;

struct Params {
  const void* x;
  void* y;
  std::int64_t items, H, W, C, pad_top, pad_left;
  dev::WideDivider by_chunks, by_columns, by_rows;
  DType type;
  bool reflect;
  bool x_vectors, y_vectors;
};

/// The input position that shows at `i`, or -1 in a border of zeros.
RESNET_DEVICE std::int64_t source_of(std::int64_t i, std::int64_t extent, bool reflect) {
  if (i >= 0 && i < extent) return i;
  if (!reflect) return -1;
  return i < 0 ? -i : 2 * (extent - 1) - i;
}

RESNET_KERNEL(threads, blocks) pad_kernel(RESNET_PARAMS(Params) p) {
  for (std::int64_t item = first_item(); item < p.items; item += item_stride()) {
    std::int64_t position, chunk, line, column, n, row;
    p.by_chunks.split(item, position, chunk);
    p.by_columns.split(position, line, column);
    p.by_rows.split(line, n, row);
    const std::int64_t c = chunk * count;
    const int valid = p.C - c < count ? static_cast<int>(p.C - c) : count;
    const std::int64_t h = source_of(row - p.pad_top, p.H, p.reflect);
    const std::int64_t w = source_of(column - p.pad_left, p.W, p.reflect);
    float values[count] = {};
    if (h >= 0 && w >= 0)
      dev::load_elements(values, p.type, p.x, ((n * p.H + h) * p.W + w) * p.C + c, valid, p.x_vectors);
    dev::store_elements(values, p.type, p.y, position * p.C + c, valid, p.y_vectors);
  }
}

Support supports(const PadProblem& p, const DeviceInfo&) {
  if (!is_float(p.dtype) && p.dtype != DType::u8) {
    return Support::no("the type must be u8, f32, f16 or bf16, is " + std::string(to_string(p.dtype)));
  }
  const bool too_far = std::max(p.pad_top, p.pad_bottom) >= p.H || std::max(p.pad_left, p.pad_right) >= p.W;
  if (p.reflect && too_far) return Support::no("mirrored borders must be smaller than the input");
  return Support::yes();
}

std::int64_t output_positions(const PadProblem& p) {
  return p.N * (p.H + p.pad_top + p.pad_bottom) * (p.W + p.pad_left + p.pad_right);
}

double estimate_us(const PadProblem& p, const DeviceInfo& device) {
  const double positions = static_cast<double>(p.N * p.H * p.W) + static_cast<double>(output_positions(p));
  return streaming_us(device, positions * static_cast<double>(p.C) * static_cast<double>(size_of(p.dtype)));
}

cudaError_t launch(const PadProblem& problem, const Operands& operands, const LaunchTarget& target) {
  Params p = {};
  p.x = operands.x;
  p.y = operands.y;
  p.H = problem.H, p.W = problem.W, p.C = problem.C;
  p.pad_top = problem.pad_top, p.pad_left = problem.pad_left;
  const std::int64_t chunks = div_up(problem.C, count);
  p.items = output_positions(problem) * chunks;
  p.by_chunks = dev::WideDivider(chunks);
  p.by_columns = dev::WideDivider(problem.W + problem.pad_left + problem.pad_right);
  p.by_rows = dev::WideDivider(problem.H + problem.pad_top + problem.pad_bottom);
  p.type = problem.dtype;
  p.reflect = problem.reflect;
  p.x_vectors = is_aligned(operands.x, 16);
  p.y_vectors = is_aligned(operands.y, 16);
  LaunchShape shape;
  shape.blocks_x = streaming_blocks(p.items, threads, blocks, *target.device);
  shape.threads = threads;
  return launch_kernel("pad", pad_kernel, shape, target.stream, p);
}

}  // namespace

extern constinit const Kernel pad =
    make_kernel<PadProblem, supports, estimate_us, no_workspace<PadProblem>, launch>("pad");

}  // namespace resnet::kernels
