#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"

namespace resnet::ops {

namespace {

Dims infer_add(const OpShapes& shapes) {
  if (shapes.inputs[0] != shapes.inputs[1]) {
    bad_geometry(shapes, "adds values of different size, " + to_string(shapes.inputs[0]) + " and " +
                             to_string(shapes.inputs[1]));
  }
  return same_as_input(shapes);
}

/// y = a + b
template <class Acc, class In>
void reference_add(const ReferenceArgs<Acc, In>& args) {
  const std::int64_t count = args.output_dims.elements();
  for (std::int64_t i = 0; i < count; ++i) {
    args.output[i] = static_cast<Acc>(args.inputs[0][i]) + static_cast<Acc>(args.inputs[1][i]);
  }
}

Dims infer_mul(const OpShapes& shapes) {
  const Dims &a = shapes.inputs[0], &b = shapes.inputs[1];
  if (b != a && b != Dims{a.n, 1, 1, a.c}) {
    bad_geometry(shapes, "multiplies " + to_string(a) + " by " + to_string(b),
                 "the second input must have the first one's size or be " + to_string(Dims{a.n, 1, 1, a.c}));
  }
  return same_as_input(shapes);
}

/// y[n,h,w,c] = a[n,h,w,c] b[n,h,w,c], or b[n,0,0,c] where b has one position per image.
template <class Acc, class In>
void reference_mul(const ReferenceArgs<Acc, In>& args) {
  const Dims &dims = args.input_dims[0], &factor_dims = args.input_dims[1];
  const bool per_channel = factor_dims.h == 1 && factor_dims.w == 1;
  for (std::int64_t n = 0; n < dims.n; ++n) {
    for (std::int64_t h = 0; h < dims.h; ++h) {
      for (std::int64_t w = 0; w < dims.w; ++w) {
        const In* x = args.inputs[0] + at(dims, n, h, w);
        const In* factor = args.inputs[1] + (per_channel ? at(factor_dims, n, 0, 0) : at(factor_dims, n, h, w));
        Acc* y = args.output + at(dims, n, h, w);
        for (std::int64_t c = 0; c < dims.c; ++c) y[c] = static_cast<Acc>(x[c]) * static_cast<Acc>(factor[c]);
      }
    }
  }
}

/// y = x
template <class Acc, class In>
void reference_identity(const ReferenceArgs<Acc, In>& args) {
  const std::int64_t count = args.output_dims.elements();
  for (std::int64_t i = 0; i < count; ++i) args.output[i] = static_cast<Acc>(args.inputs[0][i]);
}

}  // namespace

constinit const OpDef add{
    .name = "add",
    .doc = "sum of two values of equal size",
    .inputs = 2,
    .attrs = {},
    .weights = {},
    .takes_epilogue = true,
    .infer = infer_add,
    .reference_f32 = reference_add<float, float>,
    .reference_f64 = reference_add<double, float>,
    .reference_chain = reference_add<double, double>,
};

constinit const OpDef mul{
    .name = "mul",
    .doc = "product of a value and a channel scale Nx1x1xC, or of two values of equal size",
    .inputs = 2,
    .attrs = {},
    .weights = {},
    .infer = infer_mul,
    .reference_f32 = reference_mul<float, float>,
    .reference_f64 = reference_mul<double, float>,
    .reference_chain = reference_mul<double, double>,
};

constinit const OpDef identity{
    .name = "identity",
    .doc = "its input, unchanged (also dropout)",
    .inputs = 1,
    .attrs = {},
    .weights = {},
    .infer = same_as_input,
    .reference_f32 = reference_identity<float, float>,
    .reference_f64 = reference_identity<double, float>,
    .reference_chain = reference_identity<double, double>,
};

}  // namespace resnet::ops
