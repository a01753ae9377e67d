#include <utility>

#include "support/problems.hpp"

namespace resnet::test {
namespace {

EpilogueProblem whole_epilogue() {
  EpilogueProblem e;
  e.scale = e.shift = e.residual = true;
  e.activation.kind = ActivationKind::relu;
  return e;
}

ValueDesc value(const Dims& dims, DType type, LayoutId layout, std::int64_t c_padded = 0) {
  ValueDesc desc;
  desc.dims = dims, desc.dtype = type, desc.layout = layout, desc.c_padded = c_padded;
  return desc;
}

}  // namespace

std::vector<ProblemCase> round_problems() {
  using enum DType;
  using enum LayoutId;
  std::vector<ProblemCase> cases;
  const auto add = [&](std::string name, kernels::Problem problem) {
    cases.push_back({"rounds_" + std::move(name), std::move(problem), true});
  };
  // A tile per image or two, and six blocks in all.
  add("stem_7x7",
      make_conv(
          {.N = 7, .H = 3, .W = 5, .C = 3, .K = 8, .R = 7, .S = 7, .stride_h = 2, .stride_w = 2, .pads = {3, 3, 3, 3}},
          whole_epilogue()));
  add("stem_3x3",
      make_conv(
          {.N = 13, .H = 5, .W = 7, .C = 3, .K = 8, .R = 3, .S = 3, .stride_h = 2, .stride_w = 2, .pads = {1, 1, 1, 1}},
          whole_epilogue()));
  add("groups_of_4",
      make_conv({.N = 7, .H = 4, .W = 5, .C = 16, .K = 16, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 4},
                whole_epilogue()));
  add("groups_of_4_on_large_tiles",
      make_conv({.N = 7, .H = 5, .W = 9, .C = 16, .K = 16, .R = 1, .S = 3, .pads = {0, 1, 0, 1}, .groups = 4},
                whole_epilogue()));
  add("groups_of_4_in_strips",
      make_conv({.N = 5, .H = 2, .W = 2, .C = 128, .K = 128, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 32},
                whole_epilogue()));
  add("groups_of_32",
      make_conv({.N = 7, .H = 1, .W = 2, .C = 64, .K = 64, .R = 1, .S = 3, .pads = {0, 1, 0, 1}, .groups = 2},
                whole_epilogue()));
  // Bins of 32 slices and of 2: there nothing but one barrier lies between two rounds.
  add("adaptive_pool_of_8x8", AdaptivePoolProblem{33, 8, 8, 16, 1, 1, f32, f32});
  add("adaptive_pool_of_2x2", AdaptivePoolProblem{4, 34, 34, 8, 17, 17, f32, f32});
  const Dims images{9, 2, 3, 9};
  for (const DType type : {f32, f16, bf16}) {
    const std::string of = std::string("_") + std::string(to_string(type));
    add("to_nchw" + of, ConvertProblem{value(images, type, nhwc), value(images, type, nchw), false});
    add("from_nchw" + of, ConvertProblem{value(images, type, nchw), value(images, type, nhwc, 16), false});
  }
  add("convert", ConvertProblem{value({1, 32, 33, 9}, f32, nhwc), value({1, 32, 33, 9}, f16, nhwc), false});
  add("convert_pixels", ConvertProblem{value({1, 112, 112, 3}, u8, nhwc), value({1, 112, 112, 3}, f16, nhwc, 4), true});
  PointwiseProblem pointwise;
  pointwise.kind = PointwiseKind::multiply_channels;
  pointwise.N = 3, pointwise.positions_per_image = 310, pointwise.C = 9, pointwise.epilogue.scale = true;
  add("pointwise", pointwise);
  PoolProblem pool;
  pool.N = 2, pool.H = pool.W = 18, pool.C = 7, pool.R = pool.S = 2, pool.stride_h = pool.stride_w = 1;
  pool.P = pool.Q = 17, pool.max = true;
  add("max_pool", pool);
  PadProblem pad;
  pad.N = 3, pad.H = pad.W = 18, pad.C = 5, pad.pad_top = pad.pad_bottom = pad.pad_left = pad.pad_right = 1;
  pad.reflect = true;
  add("reflect_pad", pad);
  add("softmax_of_9", SoftmaxProblem{70, 9});
  add("softmax_of_2051", SoftmaxProblem{6, 2051});
  add("top_3_of_40", TopKProblem{9, 40, 3});
  add("top_2_of_8200", TopKProblem{3, 8200, 2});
  return cases;
}

}  // namespace resnet::test
