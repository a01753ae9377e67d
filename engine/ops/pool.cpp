#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"
#include "ops/window.hpp"

namespace resnet {

namespace ops {

namespace {

const AttrSpec max_attrs[] = {
    {"kernel", std::vector<std::int64_t>{}, true, "[height, width], >= 1"},
    {"stride", std::vector<std::int64_t>{}, true, "[vertical, horizontal], >= 1"},
    {"padding", std::string("valid"), false, "explicit, valid, same or same_lower"},
    {"pads", std::vector<std::int64_t>{0, 0, 0, 0}, false,
     "[top, left, bottom, right] for padding explicit, >= 0 and smaller than the kernel"},
    {"ceil_mode", false, false, "round the output size up"},
};

const AttrSpec avg_attrs[] = {
    max_attrs[0],
    max_attrs[1],
    max_attrs[2],
    max_attrs[3],
    max_attrs[4],
    {"count_include_pad", false, false, "divide by the window within the padded input, not within the input"},
};

Dims infer(const OpShapes& shapes) {
  const Dims& in = shapes.inputs[0];
  const Pair kernel = pair_attr(shapes, "kernel", 1);
  const Pads pads = pads_attr(shapes, "pads");
  // A window that lies in the padding alone would have no value.
  if (std::max(pads.top, pads.bottom) >= kernel.h || std::max(pads.left, pads.right) >= kernel.w) {
    bad_attribute(shapes, "attribute 'pads' is not smaller than the kernel of " + std::to_string(kernel.h) + " x " +
                              std::to_string(kernel.w));
  }
  const Window window = resolve_window(shapes, kernel.h, kernel.w);
  return checked_dims(shapes, {in.n, window.h.output, window.w.output, in.c});
}

/// y[n,p,q,c] = the largest x[n,h,w,c] in the window; outside the input counts as -infinity, NaN wins.
template <class Acc, class In>
void reference_max(const ReferenceArgs<Acc, In>& args) {
  const Dims &in = args.input_dims[0], &out = args.output_dims;
  const PoolProblem problem = pool_problem(shapes_of(args), out, true);
  for (std::int64_t n = 0; n < out.n; ++n) {
    for (std::int64_t p = 0; p < out.h; ++p) {
      for (std::int64_t q = 0; q < out.w; ++q) {
        Acc* y = args.output + at(out, n, p, q);
        std::fill_n(y, out.c, -std::numeric_limits<Acc>::infinity());
        const std::int64_t top = p * problem.stride_h - problem.pad_top, left = q * problem.stride_w - problem.pad_left;
        for (std::int64_t h = std::max<std::int64_t>(top, 0); h < std::min(top + problem.R, in.h); ++h) {
          for (std::int64_t w = std::max<std::int64_t>(left, 0); w < std::min(left + problem.S, in.w); ++w) {
            const In* x = args.inputs[0] + at(in, n, h, w);
            for (std::int64_t c = 0; c < out.c; ++c) {
              const Acc value = static_cast<Acc>(x[c]);
              if (value > y[c] || std::isnan(value)) y[c] = value;
            }
          }
        }
      }
    }
  }
}

/// y[n,p,q,c] = sum of x[n,h,w,c] in the window / count, where count is the part of the window within the input, or
/// within the padded input for count_include_pad.
template <class Acc, class In>
void reference_avg(const ReferenceArgs<Acc, In>& args) {
  const Dims &in = args.input_dims[0], &out = args.output_dims;
  const PoolProblem problem = pool_problem(shapes_of(args), out, false);
  for (std::int64_t n = 0; n < out.n; ++n) {
    for (std::int64_t p = 0; p < out.h; ++p) {
      for (std::int64_t q = 0; q < out.w; ++q) {
        Acc* y = args.output + at(out, n, p, q);
        std::fill_n(y, out.c, Acc{0});
        const std::int64_t top = p * problem.stride_h - problem.pad_top, left = q * problem.stride_w - problem.pad_left;
        const std::int64_t first_h = std::max<std::int64_t>(top, 0), end_h = std::min(top + problem.R, in.h);
        const std::int64_t first_w = std::max<std::int64_t>(left, 0), end_w = std::min(left + problem.S, in.w);
        for (std::int64_t h = first_h; h < end_h; ++h) {
          for (std::int64_t w = first_w; w < end_w; ++w) {
            const In* x = args.inputs[0] + at(in, n, h, w);
            for (std::int64_t c = 0; c < out.c; ++c) y[c] += static_cast<Acc>(x[c]);
          }
        }
        const std::int64_t padded_h = std::min(top + problem.R, in.h + problem.pad_bottom) - top;
        const std::int64_t padded_w = std::min(left + problem.S, in.w + problem.pad_right) - left;
        const std::int64_t count =
            problem.count_include_pad ? padded_h * padded_w : (end_h - first_h) * (end_w - first_w);
        for (std::int64_t c = 0; c < out.c; ++c) y[c] /= static_cast<Acc>(count);
      }
    }
  }
}

}  // namespace

constinit const OpDef max_pool{
    .name = "max_pool",
    .doc = "largest value of each window",
    .inputs = 1,
    .attrs = max_attrs,
    .weights = {},
    .infer = infer,
    .reference_f32 = reference_max<float, float>,
    .reference_f64 = reference_max<double, float>,
    .reference_chain = reference_max<double, double>,
};

constinit const OpDef avg_pool{
    .name = "avg_pool",
    .doc = "mean of each window",
    .inputs = 1,
    .attrs = avg_attrs,
    .weights = {},
    .infer = infer,
    .reference_f32 = reference_avg<float, float>,
    .reference_f64 = reference_avg<double, float>,
    .reference_chain = reference_avg<double, double>,
};

}  // namespace ops

PoolProblem pool_problem(const OpShapes& shapes, const Dims& output, bool max) {
  const Dims& in = shapes.inputs[0];
  const ops::Pair kernel = ops::pair_attr(shapes, "kernel", 1);
  const ops::Window window = ops::resolve_window(shapes, kernel.h, kernel.w);
  PoolProblem problem;
  problem.N = in.n, problem.H = in.h, problem.W = in.w, problem.C = in.c;
  problem.R = kernel.h, problem.S = kernel.w, problem.P = output.h, problem.Q = output.w;
  problem.stride_h = window.h.stride, problem.stride_w = window.w.stride;
  problem.pad_top = window.h.pad_before, problem.pad_left = window.w.pad_before;
  problem.pad_bottom = window.h.pad_after, problem.pad_right = window.w.pad_after;
  problem.max = max;
  problem.count_include_pad = !max && bool_attr(*shapes.attrs, "count_include_pad");
  return problem;
}

}  // namespace resnet
