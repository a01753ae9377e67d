#include <cmath>

#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"

namespace resnet::ops {

namespace {

const AttrSpec attrs[] = {
    {"eps", 1e-5, false, "added to the variance, finite, >= 0"},
};

const WeightSpec weights[] = {
    {"gamma", false, "[C], 1 where absent"},
    {"beta", false, "[C], 0 where absent"},
    {"mean", true, "[C]"},
    {"var", true, "[C]"},
};

Dims infer(const OpShapes& shapes) {
  for (std::size_t i = 0; i < std::size(weights); ++i)
    expect_per_channel(shapes, i, weights[i].role, shapes.inputs[0].c);
  if (finite_attr(shapes, "eps") < 0) bad_attribute(shapes, "attribute 'eps' is negative");
  return same_as_input(shapes);
}

/// y[...,c] = gamma[c] (x[...,c] - mean[c]) / sqrt(var[c] + eps) + beta[c]
template <class Acc, class In>
void reference(const ReferenceArgs<Acc, In>& args) {
  const std::int64_t C = args.output_dims.c, positions = args.output_dims.elements() / C;
  const Acc eps = static_cast<Acc>(float_attr(*args.attrs, "eps"));
  const float *gamma = args.weights[0], *beta = args.weights[1], *mean = args.weights[2], *var = args.weights[3];
  for (std::int64_t i = 0; i < positions; ++i) {
    const In* x = args.inputs[0] + i * C;
    Acc* y = args.output + i * C;
    for (std::int64_t c = 0; c < C; ++c) {
      const Acc normalised =
          (static_cast<Acc>(x[c]) - static_cast<Acc>(mean[c])) / std::sqrt(static_cast<Acc>(var[c]) + eps);
      y[c] = (gamma ? static_cast<Acc>(gamma[c]) : Acc{1}) * normalised + (beta ? static_cast<Acc>(beta[c]) : Acc{0});
    }
  }
}

/// y = x; what the op does stands in its node's epilogue.
template <class Acc, class In>
void copy(const ReferenceArgs<Acc, In>& args) {
  const std::int64_t count = args.output_dims.elements();
  for (std::int64_t i = 0; i < count; ++i) args.output[i] = static_cast<Acc>(args.inputs[0][i]);
}

}  // namespace

constinit const OpDef batch_norm{
    .name = "batch_norm",
    .doc = "inference-mode batch normalisation over C",
    .inputs = 1,
    .attrs = attrs,
    .weights = weights,
    .infer = infer,
    .reference_f32 = reference<float, float>,
    .reference_f64 = reference<double, float>,
    .reference_chain = reference<double, double>,
};

constinit const OpDef scale_shift{
    .name = "scale_shift",
    .doc = "the node's epilogue applied to the input; made by passes from batch_norm",
    .inputs = 1,
    .attrs = {},
    .weights = {},
    .internal = true,
    .takes_epilogue = true,
    .infer = same_as_input,
    .reference_f32 = copy<float, float>,
    .reference_f64 = copy<double, float>,
    .reference_chain = copy<double, double>,
};

}  // namespace resnet::ops
