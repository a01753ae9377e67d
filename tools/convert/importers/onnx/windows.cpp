// Conv, MaxPool, AveragePool, GlobalAveragePool, Pad.
#include <algorithm>

#include "convert/importers/onnx/operators.hpp"
#include "ops/rule.hpp"

namespace resnet::convert::onnx {
namespace {

using Ints = std::vector<std::int64_t>;

/// Adds stride, padding and pads.
void set_window(Network& net, AttrMap& attrs) {
  const Ints stride = net.pair("strides", 1, 1);
  if (stride != Ints{1, 1}) attrs["stride"] = stride;
  const std::string policy = net.text("auto_pad", "NOTSET");
  const Ints pads = net.integers("pads", {0, 0, 0, 0});
  if (pads.size() != 4 || std::any_of(pads.begin(), pads.end(), [](auto p) { return p < 0 || p > ops::max_extent; })) {
    net.reject("pads are " + list_text(pads) + ", expected [top, left, bottom, right], none negative");
  }
  const bool none = pads == Ints{0, 0, 0, 0};
  if (policy == "SAME_UPPER" || policy == "SAME_LOWER") {
    attrs["padding"] = std::string(policy == "SAME_UPPER" ? "same" : "same_lower");
  } else if (policy != "NOTSET" && policy != "VALID" && !policy.empty()) {
    net.reject("auto_pad is \"" + policy + '"');
  }
  if (none) return;
  if (policy != "NOTSET" && !policy.empty()) net.reject("has pads " + list_text(pads) + " and auto_pad " + policy);
  attrs["padding"] = std::string("explicit");
  attrs["pads"] = pads;
}

void convert_pool(Network& net, const char* op, AttrMap attrs) {
  const Value& x = net.image(0);
  if (!net.has("kernel_shape")) net.reject("has no kernel_shape");
  attrs["kernel"] = net.pair("kernel_shape", 1, 1);
  attrs["stride"] = Ints{1, 1};  // required there
  set_window(net, attrs);
  if (net.pair("dilations", 1, 1) != Ints{1, 1}) net.reject("has dilations, pools without are read");
  if (net.flag("ceil_mode", false)) attrs["ceil_mode"] = true;
  net.set(net.add(op, {&x}, std::move(attrs)));
}

/// Conv1d along the channels of one position, as in efficient channel attention: axes N, 1, C.
bool is_along_channels(const Value& x) {
  return x.axes.size() == 3 && x.axes[0] == Axis::n && axis_size(x, 1) == 1 && x.axes[2] == Axis::c;
}

void convert_channel_conv(Network& net) {
  const Value& x = net.activation(0);
  SourceTensor weight = net.constant(1).view;
  const std::int64_t size = weight.shape.size() == 3 ? weight.shape[2] : 0;
  const std::int64_t half = size / 2;
  const std::string policy = net.text("auto_pad", "NOTSET");
  if (size % 2 == 0 || weight.shape[0] != 1 || weight.shape[1] != 1 || net.given(2) || policy != "NOTSET" ||
      net.integers("pads", {0, 0}) != Ints{half, half} || net.integers("strides", {1}) != Ints{1} ||
      net.integers("dilations", {1}) != Ints{1} || net.integer("group", 1) != 1) {
    net.reject("convolves along the channels with weights " + to_string(weight.shape) +
               "; one filter of odd size without bias, padded to keep the size, is read");
  }
  weight.shape = {size};
  weight.strides = {weight.strides[2]};
  net.set(net.add("channel_conv1d", {&x}, {}, {{"weight", weight}}));
}

}  // namespace

void convert_conv(Network& net) {
  if (is_along_channels(net.activation(0))) return convert_channel_conv(net);
  const Value& x = net.image(0);
  const Tensor& weight = net.constant(1);
  const TensorShape& shape = weight.view.shape;
  if (shape.size() != 4) {
    net.reject("its weights are " + to_string(shape) + ", those of a two-dimensional convolution have 4 dimensions");
  }
  if (net.has("kernel_shape") && net.integers("kernel_shape", {}) != Ints{shape[2], shape[3]}) {
    net.reject("kernel_shape is " + list_text(net.integers("kernel_shape", {})) + ", but its weights are " +
               to_string(shape));
  }
  AttrMap attrs;
  set_window(net, attrs);
  const Ints dilation = net.pair("dilations", 1, 1);
  if (dilation != Ints{1, 1}) attrs["dilation"] = dilation;
  const std::int64_t groups = net.integer("group", 1);
  if (groups != 1) attrs["groups"] = groups;
  std::vector<Weight> weights = {{"weight", weight.view}};
  if (net.given(2)) weights.emplace_back("bias", net.constant(2).view);
  Value y = net.add("conv2d", {&x}, std::move(attrs), weights);
  y.axes = {Axis::n, Axis::c, Axis::h, Axis::w};
  net.set(std::move(y));
}

void convert_max_pool(Network& net) { convert_pool(net, "max_pool", {}); }

void convert_average_pool(Network& net) {
  AttrMap attrs;
  if (net.flag("count_include_pad", false)) attrs["count_include_pad"] = true;
  convert_pool(net, "avg_pool", std::move(attrs));
}

void convert_global_average_pool(Network& net) { net.set(net.add("global_avg_pool", {&net.image(0)})); }

void convert_pad(Network& net) {
  const Value& x = net.activation(0);
  const std::string mode = net.text("mode", "constant");
  const Ints pads = net.given(1) ? net.known(1) : net.integers("pads", {});
  Ints axes;
  if (net.given(3)) {
    axes = net.known(3);
  } else {
    for (std::size_t i = 0; i < x.axes.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  if (pads.size() != 2 * axes.size()) {
    net.reject("has " + std::to_string(pads.size()) + " pads for " + std::to_string(axes.size()) + " axes");
  }
  Ints sides = {0, 0, 0, 0};  // top, left, bottom, right
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t before = pads[i], after = pads[i + axes.size()];
    const auto rank = static_cast<std::int64_t>(x.axes.size());
    const std::int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis < 0 || axis >= rank) net.reject("pads axis " + std::to_string(axes[i]));
    if (before == 0 && after == 0) continue;
    const Axis meaning = x.axes[static_cast<std::size_t>(axis)];
    if (before < 0 || after < 0 || (meaning != Axis::h && meaning != Axis::w)) {
      net.reject("pads are " + list_text(pads) + ", only height and width can be padded, and not by less than 0");
    }
    sides[meaning == Axis::h ? 0 : 1] = before;
    sides[meaning == Axis::h ? 2 : 3] = after;
  }
  if (sides == Ints{0, 0, 0, 0}) {
    net.alias(0, x);
    return;
  }
  AttrMap attrs;
  attrs["pads"] = sides;
  if (mode == "reflect") {
    attrs["mode"] = mode;
  } else if (mode != "constant") {
    net.reject("pads by \"" + mode + "\", zeros and reflect are read");
  } else {
    const double fill = net.given(2) ? net.scalar(2) : net.number("value", 0);
    if (fill != 0) net.reject("pads with " + std::to_string(fill) + ", zeros and reflect are read");
  }
  net.set(net.add("pad", {&x}, std::move(attrs)));
}

}  // namespace resnet::convert::onnx
