#include <array>

#include "base/checked.hpp"
#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"

namespace resnet {

namespace ops {

namespace {

const AttrSpec attrs[] = {
    {"input_order", std::string("nhwc"), false, "order of the weight's columns: nhwc (as the input lies) or nchw"},
    {"input_channels", std::int64_t{0}, false, "channels of the flattened value for input_order nchw, else 0"},
};

const WeightSpec weights[] = {
    {"weight", true, "[K, C]"},
    {"bias", false, "[K]"},
};

Dims infer(const OpShapes& shapes) {
  const Dims& in = shapes.inputs[0];
  const TensorShape& weight = weight_shape(shapes, 0, "weight", 2);
  if (in.h != 1 || in.w != 1) {
    bad_geometry(shapes, "the input is " + to_string(in) + ", dense takes Nx1x1xC", "put a flatten layer before it");
  }
  if (weight[1] != in.c) {
    bad_geometry(shapes, "the input has " + std::to_string(in.c) + " features, the weight of shape " +
                             shape_text(weight) + " takes " + std::to_string(weight[1]));
  }
  expect_per_channel(shapes, 1, "bias", weight[0]);
  const std::string& order = string_attr(*shapes.attrs, "input_order");
  const std::int64_t channels = int_in_range(shapes, "input_channels", 0);
  if (order != "nhwc" && order != "nchw") {
    bad_attribute(shapes, "attribute 'input_order' is '" + order + "'", "use nhwc or nchw");
  }
  if (order == "nhwc" && channels != 0) bad_attribute(shapes, "attribute 'input_channels' belongs to input_order nchw");
  if (order == "nchw" && (channels == 0 || in.c % channels != 0)) {
    bad_attribute(shapes, "attribute 'input_channels' is " + std::to_string(channels) + ", which does not divide " +
                              std::to_string(in.c) + " features");
  }
  return checked_dims(shapes, {in.n, 1, 1, weight[0]});
}

std::int64_t macs(const OpShapes& shapes, const Dims& output) {
  return checked_mul(output.elements(), (*shapes.weights[0])[1], layer_text(shapes.layer));
}

/// y[n,k] = bias[k] + sum over c of x[n,c] w[k,c]; for input_order nchw, x[n, (h,w), c] meets w[k, c, (h,w)].
template <class Acc, class In>
void reference(const ReferenceArgs<Acc, In>& args) {
  const auto [N, C, K] = [&] {
    const DenseProblem problem = dense_problem(shapes_of(args), args.output_dims);
    return std::array{problem.N, problem.C, problem.K};
  }();
  const bool nchw = string_attr(*args.attrs, "input_order") == "nchw";
  const std::int64_t channels = nchw ? int_attr(*args.attrs, "input_channels") : C;
  const std::int64_t positions = C / channels;
  const float* bias = args.weights[1];
  for (std::int64_t n = 0; n < N; ++n) {
    const In* x = args.inputs[0] + n * C;
    for (std::int64_t k = 0; k < K; ++k) {
      const float* weight = args.weights[0] + k * C;
      DotProduct<Acc> sum;
      if (nchw) {
        for (std::int64_t position = 0; position < positions; ++position) {
          for (std::int64_t c = 0; c < channels; ++c) {
            sum.add(x + position * channels + c, weight + c * positions + position, 1);
          }
        }
      } else {
        sum.add(x, weight, C);
      }
      args.output[n * K + k] = sum.total() + (bias ? static_cast<Acc>(bias[k]) : Acc{0});
    }
  }
}

}  // namespace

constinit const OpDef dense{
    .name = "dense",
    .doc = "fully connected layer",
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

DenseProblem dense_problem(const OpShapes& shapes, const Dims& output) {
  DenseProblem problem;
  problem.N = shapes.inputs[0].n, problem.C = shapes.inputs[0].c, problem.K = output.c;
  return problem;
}

}  // namespace resnet
