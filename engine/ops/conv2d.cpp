#include <tuple>

#include "base/checked.hpp"
#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"
#include "ops/window.hpp"

namespace resnet {

namespace ops {

namespace {

const AttrSpec attrs[] = {
    {"stride", std::vector<std::int64_t>{1, 1}, false, "[vertical, horizontal], >= 1"},
    {"padding", std::string("valid"), false, "explicit, valid, same or same_lower"},
    {"pads", std::vector<std::int64_t>{0, 0, 0, 0}, false, "[top, left, bottom, right] for padding explicit, >= 0"},
    {"dilation", std::vector<std::int64_t>{1, 1}, false, "[vertical, horizontal], >= 1"},
    {"groups", std::int64_t{1}, false, "divides C and K"},
};

const WeightSpec weights[] = {
    {"weight", true, "[K, R, S, C/groups]"},
    {"bias", false, "[K]"},
};

Dims infer(const OpShapes& shapes) {
  const Dims& in = shapes.inputs[0];
  const TensorShape& weight = weight_shape(shapes, 0, "weight", 4);
  const std::int64_t K = weight[0], R = weight[1], S = weight[2];
  const std::int64_t groups = int_in_range(shapes, "groups", 1);
  if (in.c % groups != 0) {
    bad_geometry(shapes,
                 std::to_string(in.c) + " input channels do not divide into " + std::to_string(groups) + " groups");
  }
  if (K % groups != 0) {
    tensor_shape(shapes, "weight of shape " + shape_text(weight) + " has " + std::to_string(K) +
                             " output channels, which do not divide into " + std::to_string(groups) + " groups");
  }
  if (weight[3] != in.c / groups) {
    bad_geometry(shapes, "the input has " + std::to_string(in.c) + " channels in " + std::to_string(groups) +
                             " group(s), the weight of shape " + shape_text(weight) + " takes " +
                             std::to_string(weight[3]) + " per group");
  }
  expect_per_channel(shapes, 1, "bias", K);
  const Window window = resolve_window(shapes, R, S);
  return checked_dims(shapes, {in.n, window.h.output, window.w.output, K});
}

std::int64_t macs(const OpShapes& shapes, const Dims& output) {
  std::int64_t count = output.elements();
  for (std::size_t axis = 1; axis < 4; ++axis) {
    count = checked_mul(count, (*shapes.weights[0])[axis], layer_text(shapes.layer));
  }
  return count;
}

/// y[n,p,q,k] = bias[k] + sum over r, s, c of x[n, p stride - pad + r dilation, q stride - pad + s dilation, c]
/// w[k,r,s,c], where c runs over the channels of k's group and x is 0 outside.
template <class Acc, class In>
void reference(const ReferenceArgs<Acc, In>& args) {
  const Dims& in = args.input_dims[0];
  const ConvProblem problem = conv_problem(shapes_of(args), args.output_dims);
  const auto& [N, H, W, C, K, R, S, P, Q] =
      std::tie(problem.N, problem.H, problem.W, problem.C, problem.K, problem.R, problem.S, problem.P, problem.Q);
  const std::int64_t group_c = C / problem.groups, group_k = K / problem.groups;
  const In* x = args.inputs[0];
  const float* weight = args.weights[0];
  const float* bias = args.weights[1];
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t p = 0; p < P; ++p) {
      for (std::int64_t q = 0; q < Q; ++q) {
        Acc* y = args.output + at(args.output_dims, n, p, q);
        for (std::int64_t k = 0; k < K; ++k) {
          const std::int64_t first_c = k / group_k * group_c;
          DotProduct<Acc> sum;
          for (std::int64_t r = 0; r < R; ++r) {
            const std::int64_t h = p * problem.stride_h - problem.pad_top + r * problem.dilation_h;
            if (h < 0 || h >= H) continue;
            for (std::int64_t s = 0; s < S; ++s) {
              const std::int64_t w = q * problem.stride_w - problem.pad_left + s * problem.dilation_w;
              if (w < 0 || w >= W) continue;
              sum.add(x + at(in, n, h, w) + first_c, weight + ((k * R + r) * S + s) * group_c, group_c);
            }
          }
          y[k] = sum.total() + (bias ? static_cast<Acc>(bias[k]) : Acc{0});
        }
      }
    }
  }
}

}  // namespace

constinit const OpDef conv2d{
    .name = "conv2d",
    .doc = "2-D convolution (cross-correlation) with zero padding",
    .inputs = 1,
    .attrs = attrs,
    .weights = weights,
    .takes_epilogue = true,
    .infer = infer,
    .macs = macs,
    .reference_f32 = reference<float, float>,
    .reference_f64 = reference<double, float>,
    .reference_chain = reference<double, double>,
};

}  // namespace ops

ConvProblem conv_problem(const OpShapes& shapes, const Dims& output) {
  const Dims& in = shapes.inputs[0];
  const TensorShape& weight = *shapes.weights[0];
  const ops::Window window = ops::resolve_window(shapes, weight[1], weight[2]);
  ConvProblem problem;
  problem.N = in.n, problem.H = in.h, problem.W = in.w, problem.C = in.c;
  problem.K = weight[0], problem.R = weight[1], problem.S = weight[2];
  problem.P = output.h, problem.Q = output.w;
  problem.stride_h = window.h.stride, problem.stride_w = window.w.stride;
  problem.pad_top = window.h.pad_before, problem.pad_left = window.w.pad_before;
  problem.pad_bottom = window.h.pad_after, problem.pad_right = window.w.pad_after;
  problem.dilation_h = window.h.dilation, problem.dilation_w = window.w.dilation;
  problem.groups = int_attr(*shapes.attrs, "groups");
  return problem;
}

}  // namespace resnet
