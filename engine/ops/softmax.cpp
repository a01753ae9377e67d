#include <algorithm>
#include <cmath>

#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"

namespace resnet::ops {

namespace {

/// y[...,c] = e^(x[...,c] - m) / sum over c' of e^(x[...,c'] - m), m = the largest x[...,c'], so that no power
/// overflows.
template <class Acc, class In>
void reference(const ReferenceArgs<Acc, In>& args) {
  const std::int64_t C = args.output_dims.c, positions = args.output_dims.elements() / C;
  for (std::int64_t i = 0; i < positions; ++i) {
    const In* x = args.inputs[0] + i * C;
    Acc* y = args.output + i * C;
    const Acc largest = static_cast<Acc>(*std::max_element(x, x + C));
    Acc sum = 0;
    for (std::int64_t c = 0; c < C; ++c) {
      y[c] = std::exp(static_cast<Acc>(x[c]) - largest);
      sum += y[c];
    }
    for (std::int64_t c = 0; c < C; ++c) y[c] /= sum;
  }
}

}  // namespace

constinit const OpDef softmax{
    .name = "softmax",
    .doc = "probabilities over C",
    .inputs = 1,
    .attrs = {},
    .weights = {},
    .infer = same_as_input,
    .reference_f32 = reference<float, float>,
    .reference_f64 = reference<double, float>,
    .reference_chain = reference<double, double>,
};

}  // namespace resnet::ops
