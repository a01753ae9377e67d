#include <algorithm>

#include "base/checked.hpp"
#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"

namespace resnet::ops {

namespace {

const AttrSpec attrs[] = {
    {"output", std::vector<std::int64_t>{}, true, "[height, width], >= 1"},
};

Dims infer_global(const OpShapes& shapes) {
  const Dims& in = shapes.inputs[0];
  return checked_dims(shapes, {in.n, 1, 1, in.c});
}

Dims infer_adaptive(const OpShapes& shapes) {
  const Dims& in = shapes.inputs[0];
  const Pair output = pair_attr(shapes, "output", 1);
  return checked_dims(shapes, {in.n, output.h, output.w, in.c});
}

/// y[n,p,q,c] = mean of x[n,h,w,c] over h in [floor(p H / P), ceil((p + 1) H / P)) and w likewise. With P = Q = 1 that
/// is the global mean.
template <class Acc, class In>
void reference(const ReferenceArgs<Acc, In>& args) {
  const Dims &in = args.input_dims[0], &out = args.output_dims;
  for (std::int64_t n = 0; n < out.n; ++n) {
    for (std::int64_t p = 0; p < out.h; ++p) {
      const std::int64_t first_h = p * in.h / out.h, end_h = div_up((p + 1) * in.h, out.h);
      for (std::int64_t q = 0; q < out.w; ++q) {
        const std::int64_t first_w = q * in.w / out.w, end_w = div_up((q + 1) * in.w, out.w);
        Acc* y = args.output + at(out, n, p, q);
        std::fill_n(y, out.c, Acc{0});
        for (std::int64_t h = first_h; h < end_h; ++h) {
          for (std::int64_t w = first_w; w < end_w; ++w) {
            const In* x = args.inputs[0] + at(in, n, h, w);
            for (std::int64_t c = 0; c < out.c; ++c) y[c] += static_cast<Acc>(x[c]);
          }
        }
        const Acc count = static_cast<Acc>((end_h - first_h) * (end_w - first_w));
        for (std::int64_t c = 0; c < out.c; ++c) y[c] /= count;
      }
    }
  }
}

}  // namespace

constinit const OpDef global_avg_pool{
    .name = "global_avg_pool",
    .doc = "mean over all positions",
    .inputs = 1,
    .attrs = {},
    .weights = {},
    .infer = infer_global,
    .reference_f32 = reference<float, float>,
    .reference_f64 = reference<double, float>,
    .reference_chain = reference<double, double>,
};

constinit const OpDef adaptive_avg_pool{
    .name = "adaptive_avg_pool",
    .doc = "mean over output[0] x output[1] bins that cover the input",
    .inputs = 1,
    .attrs = attrs,
    .weights = {},
    .infer = infer_adaptive,
    .reference_f32 = reference<float, float>,
    .reference_f64 = reference<double, float>,
    .reference_chain = reference<double, double>,
};

}  // namespace resnet::ops
