#include <algorithm>

#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"

namespace resnet::ops {

namespace {

const AttrSpec attrs[] = {
    {"pads", std::vector<std::int64_t>{}, true, "[top, left, bottom, right], >= 0"},
    {"mode", std::string("zero"), false, "zero, or reflect (the border itself is not repeated)"},
};

Dims infer(const OpShapes& shapes) {
  const Dims& in = shapes.inputs[0];
  const Pads pads = pads_attr(shapes, "pads");
  const std::string& mode = string_attr(*shapes.attrs, "mode");
  if (mode != "zero" && mode != "reflect") {
    bad_attribute(shapes, "attribute 'mode' is '" + mode + "'", "use zero or reflect");
  }
  if (mode == "reflect" && (std::max(pads.top, pads.bottom) >= in.h || std::max(pads.left, pads.right) >= in.w)) {
    bad_geometry(shapes, "reflecting pads must be smaller than the input of " + to_string(in));
  }
  return checked_dims(shapes, {in.n, in.h + pads.top + pads.bottom, in.w + pads.left + pads.right, in.c});
}

/// The position that shows at `i` when the border is a mirror.
std::int64_t reflect(std::int64_t i, std::int64_t extent) {
  return i < 0 ? -i : i >= extent ? 2 * (extent - 1) - i : i;
}

/// y[n,h,w,c] = x[n, h - top, w - left, c]; outside x, 0 or the mirrored value.
template <class Acc, class In>
void reference(const ReferenceArgs<Acc, In>& args) {
  const Dims &in = args.input_dims[0], &out = args.output_dims;
  const Pads pads = pads_attr(shapes_of(args), "pads");
  const bool mirror = string_attr(*args.attrs, "mode") == "reflect";
  for (std::int64_t n = 0; n < out.n; ++n) {
    for (std::int64_t p = 0; p < out.h; ++p) {
      const std::int64_t h = mirror ? reflect(p - pads.top, in.h) : p - pads.top;
      for (std::int64_t q = 0; q < out.w; ++q) {
        const std::int64_t w = mirror ? reflect(q - pads.left, in.w) : q - pads.left;
        const bool inside = h >= 0 && h < in.h && w >= 0 && w < in.w;
        Acc* y = args.output + at(out, n, p, q);
        for (std::int64_t c = 0; c < out.c; ++c) {
          y[c] = inside ? static_cast<Acc>(args.inputs[0][at(in, n, h, w) + c]) : Acc{0};
        }
      }
    }
  }
}

}  // namespace

constinit const OpDef pad{
    .name = "pad",
    .doc = "border of zeros or mirrored values",
    .inputs = 1,
    .attrs = attrs,
    .weights = {},
    .infer = infer,
    .reference_f32 = reference<float, float>,
    .reference_f64 = reference<double, float>,
    .reference_chain = reference<double, double>,
};

}  // namespace resnet::ops
