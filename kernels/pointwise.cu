// Copy, add, multiply or multiply by a channel factor, then the epilogue: y = epilogue(x op second). Residual add,
// batch norm, activation, squeeze-excite scale and change of type. The entry that takes every such problem.
//
// Tile: a thread takes 8 consecutive elements at a time (one 16-byte vector of a 16-bit type, two of f32), a grid
// apart. Memory bound: 1024 threads per multiprocessor with 16 to 64 bytes in flight each cover the latency. Where C is
// no multiple of 8, an item runs over the end of a row and takes its channel operands one by one; the element operands
// stay vectors. No shared memory.
//
// In place: a thread reads its elements before it writes them, so y may be x or second where the types have one size.
//
// Budget: pointwise_kernel 64 registers
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
  const void* second;
  dev::Epilogue epilogue;
  std::int64_t elements, C;
  dev::WideDivider by_channels, by_image;
  PointwiseKind kind;
  DType in;
  bool x_vectors, second_vectors;
  bool per_channel;   ///< an operand belongs to channels
  bool whole_chunks;  ///< no item runs over the end of a row
};

RESNET_DEVICE void combine(PointwiseKind kind, float (&values)[count], const float (&second)[count]) {
  RESNET_UNROLL
  for (int i = 0; i < count; ++i) {
    values[i] = kind == PointwiseKind::add ? values[i] + second[i] : values[i] * second[i];
  }
}

/// An item whose elements belong to several rows.
RESNET_DEVICE void finish_across_rows(const Params& p, float (&values)[count], std::int64_t offset, std::int64_t c,
                                      int valid) {
  RESNET_UNROLL
  for (int i = 0; i < count; ++i) {
    if (i >= valid) continue;
    if (p.kind == PointwiseKind::multiply_channels) {
      float factor[1];
      dev::load_elements(factor, p.in, p.second, p.by_image.quotient(offset + i) * p.C + c, 1, false);
      values[i] *= factor[0];
    }
    values[i] = dev::finish(p.epilogue, values[i], c);
    c = c + 1 == p.C ? 0 : c + 1;
  }
  dev::store_elements(values, p.epilogue.out, p.epilogue.y, offset, valid, p.epilogue.vectors);
}

RESNET_KERNEL(threads, blocks) pointwise_kernel(RESNET_PARAMS(Params) p) {
  for (std::int64_t item = first_item(); item * count < p.elements; item += item_stride()) {
    const std::int64_t offset = item * count;
    const int valid = p.elements - offset < count ? static_cast<int>(p.elements - offset) : count;
    float values[count], second[count];
    dev::load_elements(values, p.in, p.x, offset, valid, p.x_vectors);
    if (p.kind == PointwiseKind::add || p.kind == PointwiseKind::multiply) {
      dev::load_elements(second, p.in, p.second, offset, valid, p.second_vectors);
      combine(p.kind, values, second);
    }
    std::int64_t row = 0, c = 0;
    if (p.per_channel) p.by_channels.split(offset, row, c);
    if (p.per_channel && !p.whole_chunks) {
      finish_across_rows(p, values, offset, c, valid);
      continue;
    }
    if (p.kind == PointwiseKind::multiply_channels) {
      dev::load_elements(second, p.in, p.second, p.by_image.quotient(offset) * p.C + c, valid, p.second_vectors);
      combine(p.kind, values, second);
    }
    dev::finish_and_store(p.epilogue, values, c, offset, valid);
  }
}

bool takes(DType type) { return is_float(type) || type == DType::u8; }

Support supports(const PointwiseProblem& p, const DeviceInfo&) {
  if (!takes(p.in)) return Support::no("the input must be f32, f16, bf16 or u8, is " + std::string(to_string(p.in)));
  if (!takes(p.out)) return Support::no("the output must be f32, f16, bf16 or u8, is " + std::string(to_string(p.out)));
  if (p.epilogue.residual) return Support::no("a second operand is the problem's own, not the epilogue's residual");
  return Support::yes();
}

double estimate_us(const PointwiseProblem& p, const DeviceInfo& device) {
  const double elements = static_cast<double>(p.N) * static_cast<double>(p.positions_per_image * p.C);
  const bool two = p.kind == PointwiseKind::add || p.kind == PointwiseKind::multiply;
  const double bytes = static_cast<double>(size_of(p.in)) * (two ? 2 : 1) + static_cast<double>(size_of(p.out));
  return streaming_us(device, elements * bytes);
}

cudaError_t launch(const PointwiseProblem& problem, const Operands& operands, const LaunchTarget& target) {
  Params p = {};
  p.x = operands.x;
  p.second = operands.second;
  p.epilogue = make_epilogue(problem.epilogue, problem.out, operands);
  p.elements = problem.N * problem.positions_per_image * problem.C;
  p.C = problem.C;
  p.by_channels = dev::WideDivider(problem.C);
  p.by_image = dev::WideDivider(problem.positions_per_image * problem.C);
  p.kind = problem.kind;
  p.in = problem.in;
  p.x_vectors = is_aligned(operands.x, 16);
  p.second_vectors = is_aligned(operands.second, 16);
  p.per_channel = p.epilogue.scale || p.epilogue.shift || problem.kind == PointwiseKind::multiply_channels;
  p.whole_chunks = problem.C % count == 0;
  LaunchShape shape;
  shape.blocks_x = streaming_blocks((p.elements + count - 1) / count, threads, blocks, *target.device);
  shape.threads = threads;
  return launch_kernel("pointwise", pointwise_kernel, shape, target.stream, p);
}

}  // namespace

extern constinit const Kernel pointwise =
    make_kernel<PointwiseProblem, supports, estimate_us, no_workspace<PointwiseProblem>, launch>("pointwise");

}  // namespace resnet::kernels
