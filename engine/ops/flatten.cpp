#include "base/checked.hpp"
#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"

namespace resnet::ops {

namespace {

const AttrSpec attrs[] = {
    {"order", std::string("nhwc"), false, "order of the features: nhwc or nchw"},
};

Dims infer(const OpShapes& shapes) {
  const Dims& in = shapes.inputs[0];
  const std::string& order = string_attr(*shapes.attrs, "order");
  if (order != "nhwc" && order != "nchw")
    bad_attribute(shapes, "attribute 'order' is '" + order + "'", "use nhwc or nchw");
  return checked_dims(shapes, {in.n, 1, 1, in.h * in.w * in.c});
}

/// y[n, (h W + w) C + c] = x[n,h,w,c] for nhwc; y[n, (c H + h) W + w] = x[n,h,w,c] for nchw.
template <class Acc, class In>
void reference(const ReferenceArgs<Acc, In>& args) {
  const Dims& in = args.input_dims[0];
  const bool nchw = string_attr(*args.attrs, "order") == "nchw";
  for (std::int64_t n = 0; n < in.n; ++n) {
    Acc* y = args.output + n * args.output_dims.c;
    for (std::int64_t h = 0; h < in.h; ++h) {
      for (std::int64_t w = 0; w < in.w; ++w) {
        const In* x = args.inputs[0] + at(in, n, h, w);
        for (std::int64_t c = 0; c < in.c; ++c) {
          y[nchw ? (c * in.h + h) * in.w + w : (h * in.w + w) * in.c + c] = static_cast<Acc>(x[c]);
        }
      }
    }
  }
}

}  // namespace

constinit const OpDef flatten{
    .name = "flatten",
    .doc = "all positions and channels of an image as one row of features",
    .inputs = 1,
    .attrs = attrs,
    .weights = {},
    .infer = infer,
    .reference_f32 = reference<float, float>,
    .reference_f64 = reference<double, float>,
    .reference_chain = reference<double, double>,
};

}  // namespace resnet::ops
