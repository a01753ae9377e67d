// Normalisation, activations, and arithmetic of two values or of a value and a constant.
#include <algorithm>
#include <cmath>
#include <limits>

#include "convert/importers/onnx/operators.hpp"

namespace resnet::convert::onnx {
namespace {

constexpr std::int64_t max_channels = 1 << 20;

/// One number per channel of `x`, from a constant that is broadcast onto it.
std::vector<double> per_channel(const Network& net, const Value& x, const Tensor& tensor) {
  const TensorShape& shape = tensor.view.shape;
  const auto refuse = [&] {
    net.reject("the constant \"" + tensor.view.name + "\" (" + to_string(shape) +
               ") is neither one number nor one per channel");
  };
  const std::size_t rank = x.axes.size();
  if (shape.size() > rank) refuse();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const Axis axis = x.axes[rank - shape.size() + i];
    if (shape[i] != 1 && (axis != Axis::c || shape[i] != x.dims.c)) refuse();
  }
  if (x.dims.c > max_channels) refuse();
  auto values = net.numbers(tensor, max_channels);
  if (values.empty()) refuse();
  values.resize(static_cast<std::size_t>(x.dims.c), values.front());
  return values;
}

/// The two operands of a node that works with a constant.
struct WithConstant {
  std::size_t input = 0, constant = 1;  ///< which is which
};
WithConstant operands(const Network& net) { return net.is_activation(0) ? WithConstant{0, 1} : WithConstant{1, 0}; }
bool two_values(const Network& net) { return net.is_activation(0) && net.is_activation(1); }

void affine(Network& net, const WithConstant& with, const Affine& map) {
  for (const auto* list : {&map.scale, &map.shift}) {
    for (const double value : *list) {
      if (!std::isfinite(value)) net.reject("computes with a constant that is zero, infinite or NaN");
    }
  }
  net.set(net.add_affine(net.activation(with.input), net.is_shared(with.input), map));
}

/// Axes of a result: an axis without meaning takes its partner's. Values of other orders cannot be combined.
Axes joined_axes(const Network& net, const Value& a, const Value& b) {
  bool fits = a.axes.size() == b.axes.size();
  Axes axes = a.axes;
  for (std::size_t i = 0; fits && i < axes.size(); ++i) {
    if (axes[i] == Axis::one) axes[i] = b.axes[i];
    fits = axes[i] == b.axes[i] || b.axes[i] == Axis::one;
  }
  if (!fits)
    net.reject("combines values of " + std::to_string(a.axes.size()) + " and " + std::to_string(b.axes.size()) +
               " axes, or of another order");
  return axes;
}

Value combine(Network& net, const char* op, const Value& a, const Value& b) {
  Axes axes = joined_axes(net, a, b);
  Value y = net.add(op, {&a, &b});
  y.axes = std::move(axes);
  return y;
}

/// A factor of a product, which repeats values of size 1 by itself.
Value factor(const Network& net, std::size_t i) {
  Value value = net.value(i);
  if (value.repeats.empty()) return net.activation(i);
  const Value& other = net.value(1 - i);
  for (std::size_t axis = 0; axis < value.repeats.size(); ++axis) {
    const std::int64_t count = value.repeats[axis];
    if (count != 1 && (other.axes.size() != value.axes.size() || axis_size(other, axis) != count)) {
      net.reject("reads values that Expand repeats " + std::to_string(count) +
                 " times, but the other factor has another size");
    }
  }
  value.repeats.clear();
  return value;
}

}  // namespace

void convert_batch_norm(Network& net) {
  const Value& x = net.activation(0);
  if (x.axes.size() < 2 || x.axes[1] != Axis::c) net.reject("normalises another axis than the channels");
  std::size_t outputs = 0;
  for (const std::string& output : net.node().outputs) outputs += output.empty() ? 0u : 1u;
  if (net.flag("training_mode", false) || (net.opset() < 14 && outputs > 1)) {
    net.reject("normalises by the batch, as in training",
               "export the model in evaluation mode: model.eval(), and "
               "training=TrainingMode.EVAL or PRESERVE");
  }
  if (!net.flag("spatial", true)) net.reject("normalises every position by itself (spatial = 0)");
  AttrMap attrs;
  attrs["eps"] = net.number("epsilon", 1e-5);
  net.set(net.add("batch_norm", {&x}, std::move(attrs),
                  {{"gamma", net.constant(1).view},
                   {"beta", net.constant(2).view},
                   {"mean", net.constant(3).view},
                   {"var", net.constant(4).view}}));
}

void convert_add(Network& net) {
  if (two_values(net)) {
    net.set(combine(net, "add", net.activation(0), net.activation(1)));
    return;
  }
  const WithConstant with = operands(net);
  const Value& x = net.activation(with.input);
  const Tensor& constant = net.constant(with.constant);
  const std::vector<double> shift = per_channel(net, x, constant);
  // The bias of a convolution or dense layer, where nobody reads the value without it.
  LayerSpec* layer = net.layer_of(x);
  SourceTensor view = constant.view;
  const std::int64_t count = element_count(view.shape, view.name);
  if (layer != nullptr && (layer->op == "conv2d" || layer->op == "dense") && !layer->weights.contains("bias") &&
      count == x.dims.c && !net.is_shared(with.input)) {
    const auto axis = std::max_element(view.shape.begin(), view.shape.end()) - view.shape.begin();
    view.strides = {view.shape.empty() ? 1 : view.strides[static_cast<std::size_t>(axis)]};
    view.shape = {count};
    net.attach(*layer, "bias", view);
    net.alias(with.input, x);
    return;
  }
  affine(net, with, {std::vector<double>(shift.size(), 1.0), shift});
}

void convert_sub(Network& net) {
  if (two_values(net)) net.reject("subtracts two values of the network");
  const WithConstant with = operands(net);
  std::vector<double> shift = per_channel(net, net.activation(with.input), net.constant(with.constant));
  const double sign = with.input == 0 ? 1 : -1;  // x - constant, or constant - x
  for (double& value : shift) value *= -sign;
  affine(net, with, {std::vector<double>(shift.size(), sign), shift});
}

void convert_mul(Network& net) {
  if (!two_values(net)) {
    const WithConstant with = operands(net);
    const auto scale = per_channel(net, net.activation(with.input), net.constant(with.constant));
    affine(net, with, {scale, std::vector<double>(scale.size(), 0.0)});
    return;
  }
  // x * Sigmoid(x)
  for (const std::size_t i : {0u, 1u}) {
    if (!net.value(0).repeats.empty() || !net.value(1).repeats.empty()) break;
    const Value gate = net.activation(i);
    LayerSpec* layer = net.layer_of(gate);
    if (layer == nullptr || layer->op != "sigmoid" || net.is_shared(i)) continue;
    if (layer->inputs.front() != net.activation(1 - i).layer || gate.axes != net.activation(1 - i).axes) continue;
    layer->op = "silu";
    net.set(gate);
    return;
  }
  const Value a = factor(net, 0), b = factor(net, 1);
  // The engine broadcasts its second input.
  const bool swapped = a.dims.h == 1 && a.dims.w == 1 && !(b.dims.h == 1 && b.dims.w == 1);
  net.set(swapped ? combine(net, "mul", b, a) : combine(net, "mul", a, b));
}

void convert_div(Network& net) {
  if (two_values(net) || !net.is_activation(0)) net.reject("divides by a value of the network");
  std::vector<double> scale = per_channel(net, net.activation(0), net.constant(1));
  for (double& value : scale) value = 1 / value;
  affine(net, {0, 1}, {scale, std::vector<double>(scale.size(), 0.0)});
}

void convert_clip(Network& net) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto bound = [&](std::size_t i, const char* attribute, double fallback) {
    return net.given(i) ? net.scalar(i) : net.number(attribute, fallback);
  };
  const double low = bound(1, "min", -infinity), high = bound(2, "max", infinity);
  // Exporters write the largest number of the type where there is no bound.
  const bool half = net.given(2) && net.constant(2).view.type == SourceType::f16;
  const double largest = half ? 65504.0 : static_cast<double>(std::numeric_limits<float>::max());
  const Value& x = net.activation(0);
  if (low == 0 && high == 6) {
    net.set(net.add("relu6", {&x}));
  } else if (low == 0 && high >= largest) {
    net.set(net.add("relu", {&x}));
  } else {
    net.reject("clips to " + std::to_string(low) + " ... " + std::to_string(high) + ", 0 ... 6 (ReLU6) is read");
  }
}

void convert_leaky_relu(Network& net) {
  AttrMap attrs;
  attrs["alpha"] = net.number("alpha", 0.01);
  net.set(net.add("leaky_relu", {&net.activation(0)}, std::move(attrs)));
}

void convert_hard_sigmoid(Network& net) {
  AttrMap attrs;
  attrs["alpha"] = net.number("alpha", 0.2);
  attrs["beta"] = net.number("beta", 0.5);
  net.set(net.add("hard_sigmoid", {&net.activation(0)}, std::move(attrs)));
}

void convert_hard_swish(Network& net) {
  const Value& x = net.activation(0);
  const Value gate = net.add("hard_sigmoid", {&x}, {}, {}, ".gate");
  net.set(net.add("mul", {&x, &gate}));
}

void convert_softmax(Network& net) {
  const Value& x = net.activation(0);
  const auto rank = static_cast<std::int64_t>(x.axes.size());
  const bool coerced = net.opset() < 13;  // before, everything from the axis on was one row
  std::int64_t axis = net.integer("axis", coerced ? 1 : -1);
  if (axis < 0) axis += rank;
  const auto channels = std::find(x.axes.begin(), x.axes.end(), Axis::c) - x.axes.begin();
  const bool row = coerced && axis >= 1 && axis <= channels && x.dims.h == 1 && x.dims.w == 1;
  if (axis != channels && !row)
    net.reject("takes the softmax over axis " + std::to_string(axis) + ", not over the channels");
  if (coerced && axis == channels && channels + 1 != rank && (x.dims.h != 1 || x.dims.w != 1)) {
    net.reject("takes the softmax over channels and positions together");
  }
  net.set(net.add("softmax", {&x}));
}

}  // namespace resnet::convert::onnx
