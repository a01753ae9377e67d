#include "ops/window.hpp"

#include <algorithm>

#include "base/checked.hpp"
#include "ops/rule.hpp"

namespace resnet::ops {

namespace {

enum class PaddingPolicy { explicit_pads, valid, same, same_lower };

PaddingPolicy padding_policy(const OpShapes& shapes) {
  const std::string& padding = string_attr(*shapes.attrs, "padding");
  if (padding == "explicit") return PaddingPolicy::explicit_pads;
  if (padding == "valid") return PaddingPolicy::valid;
  if (padding == "same") return PaddingPolicy::same;
  if (padding == "same_lower") return PaddingPolicy::same_lower;
  bad_attribute(shapes, "attribute 'padding' is '" + padding + "'", "use explicit, valid, same or same_lower");
}

std::int64_t floor_div(std::int64_t value, std::int64_t divisor) {
  return value >= 0 ? value / divisor : -((-value + divisor - 1) / divisor);
}

/// Fills in the padding of a "same" policy and the output size.
void resolve_axis(const OpShapes& shapes, std::string_view axis_name, PaddingPolicy policy, bool ceil_mode,
                  WindowAxis& axis) {
  const std::int64_t extent = (axis.kernel - 1) * axis.dilation + 1;
  if (policy == PaddingPolicy::same || policy == PaddingPolicy::same_lower) {
    axis.output = div_up(axis.input, axis.stride);
    const std::int64_t total = std::max<std::int64_t>((axis.output - 1) * axis.stride + extent - axis.input, 0);
    axis.pad_before = policy == PaddingPolicy::same ? total / 2 : total - total / 2;
    axis.pad_after = total - axis.pad_before;
    return;
  }
  const std::int64_t free = axis.input + axis.pad_before + axis.pad_after - extent;
  axis.output = floor_div(free + (ceil_mode ? axis.stride - 1 : 0), axis.stride) + 1;
  if (ceil_mode && (axis.output - 1) * axis.stride >= axis.input + axis.pad_before) --axis.output;
  if (axis.output < 1) {
    bad_geometry(shapes,
                 "a kernel of " + std::to_string(extent) + " does not fit into the " + std::string(axis_name) + " of " +
                     std::to_string(axis.input) + " padded by " + std::to_string(axis.pad_before) + " + " +
                     std::to_string(axis.pad_after),
                 "use a larger input");
  }
}

}  // namespace

Window resolve_window(const OpShapes& shapes, std::int64_t R, std::int64_t S) {
  const AttrMap& attrs = *shapes.attrs;
  const Dims& in = shapes.inputs[0];
  const PaddingPolicy policy = padding_policy(shapes);
  const Pads pads = pads_attr(shapes, "pads");
  if (policy != PaddingPolicy::explicit_pads && !pads.none()) {
    bad_attribute(shapes, "attribute 'pads' is given with padding '" + string_attr(attrs, "padding") + "'",
                  "pads belong to padding 'explicit'");
  }
  const Pair stride = pair_attr(shapes, "stride", 1);
  const Pair dilation = attrs.contains("dilation") ? pair_attr(shapes, "dilation", 1) : Pair{1, 1};
  const bool ceil_mode = attrs.contains("ceil_mode") && bool_attr(attrs, "ceil_mode");

  Window window{{in.h, R, stride.h, dilation.h, pads.top, pads.bottom, 0},
                {in.w, S, stride.w, dilation.w, pads.left, pads.right, 0}};
  resolve_axis(shapes, "height", policy, ceil_mode, window.h);
  resolve_axis(shapes, "width", policy, ceil_mode, window.w);
  return window;
}

}  // namespace resnet::ops
