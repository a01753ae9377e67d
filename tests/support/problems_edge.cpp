#include <algorithm>
#include <array>
#include <utility>

#include "support/problems.hpp"

namespace resnet::test {
namespace {

EpilogueProblem epilogue(bool scale, bool shift, bool residual, ActivationKind kind, float alpha = 0, float beta = 0) {
  EpilogueProblem e;
  e.scale = scale, e.shift = shift, e.residual = residual;
  e.activation = {kind, alpha, beta};
  return e;
}

constexpr float leaky_slope = 0.25f;  // a power of two keeps integers exact
constexpr float hard_alpha = 0.125f, hard_beta = 0.5f;

/// Every part of an epilogue, alone and together. Those of conv shapes come round in turn.
const std::vector<EpilogueProblem>& epilogues() {
  using enum ActivationKind;
  static const std::vector<EpilogueProblem> list = [] {
    std::vector<EpilogueProblem> all{epilogue(true, true, false, relu),
                                     epilogue(false, false, false, none),
                                     epilogue(true, true, true, relu),
                                     epilogue(true, false, false, none),
                                     epilogue(false, true, false, none),
                                     epilogue(true, true, false, relu6),
                                     epilogue(false, false, true, none),
                                     epilogue(true, true, false, leaky_relu, leaky_slope),
                                     epilogue(true, true, true, hard_sigmoid, hard_alpha, hard_beta),
                                     epilogue(false, true, true, relu)};
    EpilogueProblem constants = epilogue(true, true, true, relu);
    constants.res_scale = 0.5f, constants.out_scale = 2, constants.zero_point = 3;
    all.push_back(constants);
    return all;
  }();
  return list;
}

class Table {
 public:
  void add(std::string name, kernels::Problem problem) { cases_.push_back({std::move(name), std::move(problem)}); }
  void conv(std::string name, const ConvShape& shape) {
    add("conv_" + std::move(name), make_conv(shape, epilogues()[next_++ % epilogues().size()]));
  }
  std::vector<ProblemCase> done() { return std::move(cases_); }

 private:
  std::vector<ProblemCase> cases_;
  std::size_t next_ = 0;
};

void convolutions(Table& t) {
  constexpr std::pair<int, int> channels[] = {{1, 1},    {3, 17},  {17, 3},  {31, 33},  {33, 31}, {65, 129},
                                              {129, 65}, {8, 8},   {16, 24}, {1, 64},   {64, 1},  {40, 72},
                                              {2, 130},  {63, 64}, {64, 66}, {128, 127}};
  for (const auto& [C, K] : channels) {
    const std::string name = std::to_string(C) + "_to_" + std::to_string(K);
    t.conv("3x3_" + name, {.N = 1, .H = 7, .W = 5, .C = C, .K = K, .R = 3, .S = 3, .pads = {1, 1, 1, 1}});
    t.conv("1x1_" + name, {.N = 2, .H = 5, .W = 7, .C = C, .K = K});
  }
  constexpr std::pair<int, int> sizes[] = {{1, 1}, {2, 3}, {5, 7}, {13, 15}, {3, 57}, {57, 2}, {8, 16}, {9, 9}};
  for (const auto& [H, W] : sizes) {
    const std::string name = std::to_string(H) + "x" + std::to_string(W);
    t.conv("3x3_on_" + name, {.N = 1, .H = H, .W = W, .C = 16, .K = 24, .R = 3, .S = 3, .pads = {1, 1, 1, 1}});
  }
  for (const int N : {1, 2, 3, 33}) {
    t.conv("batch_" + std::to_string(N),
           {.N = N, .H = 5, .W = 5, .C = 32, .K = 32, .R = 3, .S = 3, .pads = {1, 1, 1, 1}});
    t.conv("1x1_batch_" + std::to_string(N), {.N = N, .H = 1, .W = 1, .C = 64, .K = 40});
    t.conv("7x7_batch_" + std::to_string(N), {.N = N,
                                              .H = N > 3 ? 7 : 15,
                                              .W = 14,
                                              .C = 3,
                                              .K = 64,
                                              .R = 7,
                                              .S = 7,
                                              .stride_h = 2,
                                              .stride_w = 2,
                                              .pads = {3, 3, 3, 3}});
  }
  // Filters larger than the input, and windows that lie in the padding alone.
  t.conv("7x7_on_3x3", {.H = 3, .W = 3, .C = 8, .K = 16, .R = 7, .S = 7, .pads = {3, 3, 3, 3}});
  t.conv("5x5_on_1x1", {.H = 1, .W = 1, .C = 3, .K = 8, .R = 5, .S = 5, .pads = {2, 2, 2, 2}});
  t.conv("wide_3x3_on_1x1", {.N = 3, .H = 1, .W = 1, .C = 64, .K = 64, .R = 3, .S = 3, .pads = {1, 1, 1, 1}});
  t.conv("3x3_pads_of_3", {.H = 4, .W = 5, .C = 8, .K = 16, .R = 3, .S = 3, .pads = {3, 3, 3, 3}});
  t.conv("5x5_valid_to_1x1", {.N = 2, .H = 5, .W = 5, .C = 16, .K = 32, .R = 5, .S = 5});
  t.conv("1x1_padded", {.H = 4, .W = 3, .C = 16, .K = 16, .pads = {1, 1, 1, 1}});
  // Flat filters, strides, dilations, four different pads.
  t.conv("3x1", {.H = 9, .W = 6, .C = 16, .K = 16, .R = 3, .S = 1, .pads = {1, 0, 1, 0}});
  t.conv("1x7", {.H = 6, .W = 9, .C = 16, .K = 16, .R = 1, .S = 7, .pads = {0, 3, 0, 3}});
  t.conv("2x2", {.H = 6, .W = 7, .C = 24, .K = 16, .R = 2, .S = 2, .stride_h = 2, .stride_w = 2});
  constexpr std::pair<int, int> strides[] = {{1, 2}, {2, 1}, {2, 2}, {3, 3}, {3, 2}};
  for (const auto& [h, w] : strides) {
    const std::string name = std::to_string(h) + "x" + std::to_string(w);
    t.conv("3x3_stride_" + name, {.N = 2,
                                  .H = 10,
                                  .W = 11,
                                  .C = 16,
                                  .K = 16,
                                  .R = 3,
                                  .S = 3,
                                  .stride_h = h,
                                  .stride_w = w,
                                  .pads = {1, 1, 1, 1}});
    t.conv("1x1_stride_" + name, {.N = 2, .H = 9, .W = 8, .C = 32, .K = 64, .stride_h = h, .stride_w = w});
  }
  constexpr std::pair<int, int> dilations[] = {{2, 2}, {1, 2}, {2, 1}};
  for (const auto& [h, w] : dilations) {
    t.conv("dilation_" + std::to_string(h) + "x" + std::to_string(w),
           {.H = 9, .W = 8, .C = 16, .K = 32, .R = 3, .S = 3, .pads = {2, 2, 2, 2}, .dilation_h = h, .dilation_w = w});
  }
  t.conv("pads_0_1_2_3", {.H = 7, .W = 6, .C = 16, .K = 16, .R = 4, .S = 4, .pads = {0, 1, 2, 3}});
  t.conv("pads_3_2_1_0",
         {.H = 7, .W = 6, .C = 5, .K = 16, .R = 5, .S = 3, .stride_h = 2, .pads = {3, 2, 1, 0}, .dilation_w = 2});
  // Deep sums: many pipeline stages, split-K.
  t.conv("deep_1x1", {.H = 7, .W = 7, .C = 1024, .K = 32});
  t.conv("deep_3x3", {.H = 4, .W = 4, .C = 256, .K = 32, .R = 3, .S = 3, .pads = {1, 1, 1, 1}});
  t.conv("deep_3x3_odd", {.H = 3, .W = 3, .C = 200, .K = 8, .R = 3, .S = 3, .pads = {1, 1, 1, 1}});
}

void grouped(Table& t) {
  struct Groups {
    int groups, c, k;
  };
  constexpr Groups list[] = {{2, 3, 5},  {2, 16, 16}, {4, 4, 4},  {4, 8, 16}, {8, 4, 4},
                             {2, 17, 9}, {3, 32, 32}, {32, 4, 4}, {2, 64, 8}, {5, 1, 3}};
  for (const auto& [groups, c, k] : list) {
    const std::string name = std::to_string(groups) + "_groups_" + std::to_string(c) + "_to_" + std::to_string(k);
    t.conv(name, {.N = 2,
                  .H = 7,
                  .W = 6,
                  .C = groups * c,
                  .K = groups * k,
                  .R = 3,
                  .S = 3,
                  .pads = {1, 1, 1, 1},
                  .groups = groups});
  }
  t.conv("4_groups_stride_2", {.H = 9,
                               .W = 8,
                               .C = 32,
                               .K = 32,
                               .R = 3,
                               .S = 3,
                               .stride_h = 2,
                               .stride_w = 2,
                               .pads = {1, 1, 1, 1},
                               .groups = 4});
  // Full strips of 64 channels and more of every group width of the ResNeXts.
  for (const int width : {4, 8, 16, 32, 64}) {
    for (const int stride : {1, 2}) {
      const int groups = std::max(2, 64 / width);
      t.conv("strip_of_width_" + std::to_string(width) + "_stride_" + std::to_string(stride), {.H = 9,
                                                                                               .W = 10,
                                                                                               .C = groups * width,
                                                                                               .K = groups * width,
                                                                                               .R = 3,
                                                                                               .S = 3,
                                                                                               .stride_h = stride,
                                                                                               .stride_w = stride,
                                                                                               .pads = {1, 1, 1, 1},
                                                                                               .groups = groups});
    }
  }
  t.conv("4_groups_1x1", {.H = 5, .W = 5, .C = 64, .K = 32, .groups = 4});
  for (const int C : {1, 8, 31, 32, 33, 72}) {
    t.conv("depthwise_" + std::to_string(C),
           {.N = 2, .H = 7, .W = 9, .C = C, .K = C, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = C});
  }
  t.conv("depthwise_stride_2", {.H = 9,
                                .W = 8,
                                .C = 24,
                                .K = 24,
                                .R = 3,
                                .S = 3,
                                .stride_h = 2,
                                .stride_w = 2,
                                .pads = {0, 1, 1, 0},
                                .groups = 24});
  t.conv("depthwise_5x5_dilated", {.H = 11,
                                   .W = 9,
                                   .C = 16,
                                   .K = 16,
                                   .R = 5,
                                   .S = 5,
                                   .pads = {4, 4, 4, 4},
                                   .dilation_h = 2,
                                   .dilation_w = 2,
                                   .groups = 16});
  t.conv("depthwise_multiplier_2",
         {.H = 6, .W = 6, .C = 16, .K = 32, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 16});
}

void dense_layers(Table& t) {
  struct Size {
    int N, C, K;
  };
  constexpr Size sizes[] = {{1, 1, 1},    {1, 64, 10},   {1, 513, 40}, {2, 31, 17},    {3, 128, 65}, {33, 65, 33},
                            {16, 64, 64}, {130, 48, 72}, {1, 2048, 8}, {66, 1536, 24}, {8, 1000, 3}, {1, 9, 1000}};
  std::size_t next = 0;
  for (const auto& [N, C, K] : sizes) {
    DenseProblem p;
    p.N = N, p.C = C, p.K = K;
    p.epilogue = epilogues()[next++ % epilogues().size()];
    const std::string name = std::to_string(N) + "_" + std::to_string(C) + "_to_" + std::to_string(K);
    t.add("dense_" + name, p);
  }
  constexpr std::array<int, 5> pooled[] = {{1, 7, 7, 64, 40}, {2, 1, 1, 33, 17}, {3, 4, 4, 16, 10},
                                           {1, 2, 3, 130, 5}, {1, 16, 8, 8, 1},  {2, 3, 3, 24, 70}};
  for (const auto& [N, H, W, C, K] : pooled) {
    PoolDenseProblem p;
    p.N = N, p.H = H, p.W = W, p.C = C, p.K = K;
    p.epilogue = epilogues()[next++ % epilogues().size()];
    t.add("pool_and_dense_" + std::to_string(H) + "x" + std::to_string(W) + "x" + std::to_string(C), p);
  }
}

void pools(Table& t) {
  struct Pool {
    const char* name;
    std::array<int, 4> input;  ///< N, H, W, C
    std::array<int, 2> window, stride;
    std::array<int, 4> pads;
    std::array<int, 2> output;  ///< 0: floor
  };
  constexpr Pool list[] = {
      {"2x2", {2, 8, 6, 32}, {2, 2}, {2, 2}, {0, 0, 0, 0}, {0, 0}},
      {"3x3_stride_2", {1, 15, 14, 24}, {3, 3}, {2, 2}, {1, 1, 1, 1}, {0, 0}},
      {"3x3_stride_1", {3, 5, 5, 17}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {0, 0}},
      {"ceil_3x3_stride_2", {1, 8, 9, 16}, {3, 3}, {2, 2}, {0, 0, 0, 0}, {4, 4}},
      {"ceil_padded", {1, 8, 7, 5}, {3, 3}, {2, 2}, {1, 1, 1, 1}, {5, 4}},
      {"ceil_2x3_stride_3x2", {1, 10, 8, 8}, {2, 3}, {3, 2}, {0, 1, 0, 0}, {4, 4}},
      {"larger_than_input", {2, 2, 3, 33}, {5, 5}, {1, 1}, {2, 2, 2, 2}, {0, 0}},
      {"1x1_position", {33, 1, 1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {0, 0}},
      {"1x1_stride_2", {1, 5, 5, 9}, {1, 1}, {2, 2}, {0, 0, 0, 0}, {0, 0}},
      {"whole_map", {2, 7, 7, 40}, {7, 7}, {1, 1}, {0, 0, 0, 0}, {0, 0}},
  };
  for (const Pool& pool : list) {
    PoolProblem p;
    p.N = pool.input[0], p.H = pool.input[1], p.W = pool.input[2], p.C = pool.input[3];
    p.R = pool.window[0], p.S = pool.window[1], p.stride_h = pool.stride[0], p.stride_w = pool.stride[1];
    p.pad_top = pool.pads[0], p.pad_left = pool.pads[1], p.pad_bottom = pool.pads[2], p.pad_right = pool.pads[3];
    const auto extent = [](std::int64_t in, std::int64_t pads, std::int64_t window, std::int64_t stride) {
      return (in + pads - window) / stride + 1;
    };
    p.P = pool.output[0] ? pool.output[0] : extent(p.H, p.pad_top + p.pad_bottom, p.R, p.stride_h);
    p.Q = pool.output[1] ? pool.output[1] : extent(p.W, p.pad_left + p.pad_right, p.S, p.stride_w);
    t.add(std::string("max_pool_") + pool.name, p);
    p.max = false;
    t.add(std::string("average_pool_") + pool.name, p);
    p.count_include_pad = true;
    t.add(std::string("average_pool_with_pads_") + pool.name, p);
  }
  constexpr std::array<int, 6> adaptive[] = {{1, 7, 7, 64, 1, 1},  {3, 5, 6, 33, 1, 1},  {2, 7, 5, 16, 3, 2},
                                             {1, 3, 2, 8, 7, 5},   {33, 1, 1, 1, 1, 1},  {1, 14, 13, 7, 7, 7},
                                             {1, 20, 31, 3, 1, 1}, {2, 4, 4, 520, 1, 1}, {1, 56, 1, 17, 1, 1}};
  for (const auto& [N, H, W, C, P, Q] : adaptive) {
    t.add("adaptive_pool_" + std::to_string(H) + "x" + std::to_string(W) + "x" + std::to_string(C) + "_to_" +
              std::to_string(P) + "x" + std::to_string(Q),
          AdaptivePoolProblem{N, H, W, C, P, Q, DType::f32, DType::f32});
  }
}

void pointwise(Table& t) {
  constexpr std::pair<PointwiseKind, const char*> kinds[] = {{PointwiseKind::copy, "copy"},
                                                             {PointwiseKind::add, "add"},
                                                             {PointwiseKind::multiply, "multiply"},
                                                             {PointwiseKind::multiply_channels, "multiply_channels"}};
  using enum ActivationKind;
  const std::pair<const char*, EpilogueProblem> ends[] = {
      {"plain", epilogue(false, false, false, none)},
      {"relu", epilogue(false, false, false, relu)},
      {"scale_shift", epilogue(true, true, false, none)},
      {"scale_shift_relu6", epilogue(true, true, false, relu6)},
      {"shift_leaky", epilogue(false, true, false, leaky_relu, leaky_slope)},
      {"scale_sigmoid", epilogue(true, false, false, sigmoid)},
      {"hard_sigmoid", epilogue(true, true, false, hard_sigmoid, hard_alpha, hard_beta)},
      {"silu", epilogue(false, false, false, silu)}};
  constexpr std::array<int, 3> sizes[] = {{1, 35, 17}, {2, 12, 64}, {33, 1, 3}, {1, 1, 1}, {3, 9, 40}};
  std::size_t next = 0;
  for (const auto& [kind, kind_name] : kinds) {
    for (const auto& [end_name, end] : ends) {
      const auto& [N, positions, C] = sizes[next++ % std::size(sizes)];
      PointwiseProblem p;
      p.kind = kind, p.N = N, p.positions_per_image = positions, p.C = C, p.epilogue = end;
      t.add(std::string("pointwise_") + kind_name + "_" + end_name, p);
    }
  }
}

void rows(Table& t) {
  constexpr std::pair<int, int> softmax[] = {{1, 1000}, {3, 10}, {33, 1}, {2, 33}, {5, 257}, {1, 5000}, {35, 6}};
  for (const auto& [rows, C] : softmax) {
    t.add("softmax_" + std::to_string(rows) + "x" + std::to_string(C), SoftmaxProblem{rows, C});
  }
  constexpr std::array<int, 3> tops[] = {{1, 1000, 5}, {3, 10, 1}, {2, 7, 7}, {33, 33, 3}, {1, 1, 1}, {2, 2048, 100}};
  for (const auto& [rows, C, k] : tops) {
    t.add("top_" + std::to_string(k) + "_of_" + std::to_string(rows) + "x" + std::to_string(C),
          TopKProblem{rows, C, k});
  }
  struct Pad {
    std::array<int, 4> input, pads;
    bool reflect;
  };
  constexpr Pad pads[] = {{{1, 7, 5, 6}, {1, 2, 3, 0}, false},  {{1, 7, 5, 6}, {1, 2, 3, 0}, true},
                          {{2, 4, 4, 64}, {1, 1, 1, 1}, false}, {{2, 4, 4, 64}, {3, 3, 3, 3}, true},
                          {{3, 1, 1, 1}, {0, 2, 1, 0}, false},  {{1, 2, 3, 33}, {0, 0, 0, 0}, false},
                          {{1, 8, 9, 3}, {3, 3, 3, 3}, true}};
  int number = 0;
  for (const Pad& pad : pads) {
    PadProblem p;
    p.N = pad.input[0], p.H = pad.input[1], p.W = pad.input[2], p.C = pad.input[3];
    p.pad_top = pad.pads[0], p.pad_left = pad.pads[1], p.pad_bottom = pad.pads[2], p.pad_right = pad.pads[3];
    p.reflect = pad.reflect;
    t.add(std::string(pad.reflect ? "reflect" : "zero") + "_pad_" + std::to_string(number++), p);
  }
}

/// Pixels to normalised input, layouts both ways, padded channels, every pair of types.
void conversions(Table& t) {
  using enum DType;
  const auto value = [](const Dims& dims, DType type, LayoutId layout, std::int64_t c_padded = 0) {
    ValueDesc desc;
    desc.dims = dims, desc.dtype = type, desc.layout = layout, desc.c_padded = c_padded;
    return desc;
  };
  const auto add = [&](const std::string& name, const ValueDesc& in, const ValueDesc& out, bool scale_shift) {
    const std::string types = std::string(to_string(in.dtype)) + "_" + std::string(to_string(out.dtype));
    t.add("convert_" + name + "_" + types, ConvertProblem{in, out, scale_shift});
  };
  constexpr DType types[] = {u8, f32, f16, bf16};
  const Dims odd{2, 5, 7, 3};
  for (const DType in : types) {
    for (const DType out : types) {
      add("nhwc", value(odd, in, LayoutId::nhwc), value(odd, out, LayoutId::nhwc), in == u8 && out != u8);
      add("to_nchw", value(odd, in, LayoutId::nhwc), value(odd, out, LayoutId::nchw), false);
      add("from_nchw", value(odd, in, LayoutId::nchw), value(odd, out, LayoutId::nhwc), false);
    }
  }
  for (const DType out : {f32, f16, bf16}) {
    add("pad_3_to_4", value(odd, u8, LayoutId::nhwc), value(odd, out, LayoutId::nhwc, 4), true);
    add("pad_3_to_8", value(odd, f32, LayoutId::nhwc), value(odd, out, LayoutId::nhwc, 8), false);
    add("unpad_8_to_3", value(odd, out, LayoutId::nhwc, 8), value(odd, f32, LayoutId::nhwc), false);
    add("nchw_to_padded", value(odd, u8, LayoutId::nchw), value(odd, out, LayoutId::nhwc, 8), true);
    add("wide", value({1, 9, 4, 70}, out, LayoutId::nhwc), value({1, 9, 4, 70}, out, LayoutId::nchw), false);
    add("one", value({1, 1, 1, 1}, out, LayoutId::nhwc), value({1, 1, 1, 1}, f32, LayoutId::nchw), false);
  }
}

}  // namespace

std::vector<ProblemCase> edge_problems() {
  Table table;
  convolutions(table);
  grouped(table);
  dense_layers(table);
  pools(table);
  pointwise(table);
  rows(table);
  conversions(table);
  return table.done();
}

}  // namespace resnet::test
