#include "base/checked.hpp"
#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"

namespace resnet::ops {

namespace {

const WeightSpec weights[] = {
    {"weight", true, "[k]"},
};

Dims infer(const OpShapes& shapes) {
  const Dims& in = shapes.inputs[0];
  const TensorShape& weight = weight_shape(shapes, 0, "weight", 1);
  if (in.h != 1 || in.w != 1) {
    bad_geometry(shapes, "the input is " + to_string(in) + ", channel_conv1d takes Nx1x1xC",
                 "put a global_avg_pool layer before it");
  }
  if (weight[0] % 2 == 0) {
    bad_geometry(shapes, "the weight has " + std::to_string(weight[0]) + " values, an odd number is needed");
  }
  return in;
}

std::int64_t macs(const OpShapes& shapes, const Dims& output) {
  return checked_mul(output.elements(), (*shapes.weights[0])[0], layer_text(shapes.layer));
}

/// y[n,c] = sum over j of x[n, c - floor(k / 2) + j] w[j], with x = 0 outside of the channels.
template <class Acc, class In>
void reference(const ReferenceArgs<Acc, In>& args) {
  const std::int64_t N = args.output_dims.n, C = args.output_dims.c, k = (*args.weight_shapes[0])[0];
  for (std::int64_t n = 0; n < N; ++n) {
    const In* x = args.inputs[0] + n * C;
    for (std::int64_t c = 0; c < C; ++c) {
      Acc sum = 0;
      for (std::int64_t j = 0; j < k; ++j) {
        const std::int64_t from = c - k / 2 + j;
        if (from >= 0 && from < C) sum += static_cast<Acc>(x[from]) * static_cast<Acc>(args.weights[0][j]);
      }
      args.output[n * C + c] = sum;
    }
  }
}

}  // namespace

constinit const OpDef channel_conv1d{
    .name = "channel_conv1d",
    .doc = "convolution along C, as in efficient channel attention",
    .inputs = 1,
    .attrs = {},
    .weights = weights,
    .infer = infer,
    .macs = macs,
    .reference_f32 = reference<float, float>,
    .reference_f64 = reference<double, float>,
    .reference_chain = reference<double, double>,
};

}  // namespace resnet::ops
