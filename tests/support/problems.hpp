#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernel.hpp"

/// One table of problems for the kernel tests and the kernel benchmarks.
namespace resnet::test {

/// full: the networks' own sizes. reduced: for the emulator. tiny: for the emulator with access hooks and for
/// compute-sanitizer.
enum class Sizes : std::uint8_t { tiny, reduced, full };

struct ProblemCase {
  std::string name;  ///< unique, [A-Za-z0-9_]
  kernels::Problem problem;
  bool rounds = false;  ///< to be run where there are the fewest multiprocessors
};
/// For GoogleTest's messages.
std::ostream& operator<<(std::ostream& out, const ProblemCase& problem);

/// The distinct convolutions, pools and dense layers of ResNet-18, 34, 50, 101, 152, ResNeXt-50 32x4d and Wide
/// ResNet-50-2 (v1.5, fused epilogues, f32), named after the first network and layer that has them.
///
/// Smaller sizes keep what decides about code paths: filters, strides, pads, epilogues, channels per group, whether
/// channels fill tiles of 64 (1000 classes stay 40 more than a multiple), odd and even sizes, several tiles per axis.
std::vector<ProblemCase> network_problems(std::int64_t batch, Sizes sizes);

/// Shapes at the edges: channels around vector and tile sizes, odd sizes, filters larger than the input, one position,
/// batch 33, strides, dilations, pads, groups; every kind of problem and every part of an epilogue. f32 where the
/// problem does not say otherwise.
std::vector<ProblemCase> edge_problems();

/// More work than the blocks of one multiprocessor can take at once, for every kernel whose blocks come round again:
/// what one round leaves in shared memory meets the next. Small enough for access hooks.
std::vector<ProblemCase> round_problems();

/// `count` random problems; a function of the seed alone.
std::vector<ProblemCase> random_problems(std::uint64_t seed, int count);

/// Element types and arithmetic of a problem.
struct Types {
  DType in = DType::f32, out = DType::f32;
  Precision precision = Precision::fp32;
  bool operator==(const Types&) const = default;
};
/// "bf16", "tf32", "f16_f32" (in and out differ)
std::string to_string(const Types& types);
Types types_of(const kernels::Problem& problem);
kernels::Problem with_types(const kernels::Problem& problem, const Types& types);
/// The types for which every problem of this kind must have a kernel.
std::vector<Types> types_for(const kernels::Problem& problem);

/// Changes of type between input and output that the planner may ask for besides.
std::vector<Types> mixed_types_for(const kernels::Problem& problem);

/// Multiply-accumulates, or elements moved where there are none.
std::int64_t work_of(const kernels::Problem& problem);

/// A convolution with its output size filled in. Pads: top, left, bottom, right.
struct ConvShape {
  std::int64_t N = 1, H = 1, W = 1, C = 1, K = 1, R = 1, S = 1;
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t pads[4] = {0, 0, 0, 0};
  std::int64_t dilation_h = 1, dilation_w = 1, groups = 1;
};
ConvProblem make_conv(const ConvShape& shape, const EpilogueProblem& epilogue = {});

}  // namespace resnet::test
