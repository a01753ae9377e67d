#include <array>
#include <cmath>

#include "ops/loop.hpp"
#include "ops/op_list.hpp"
#include "ops/rule.hpp"

namespace resnet {

template <class T>
T activate(const Activation& activation, T x) {
  const T alpha = static_cast<T>(activation.alpha), beta = static_cast<T>(activation.beta);
  // Every comparison is written so that NaN takes the branch that returns it.
  const auto clamp = [](T value, T top) { return value <= 0 ? T{0} : value > top ? top : value; };
  switch (activation.kind) {
    case ActivationKind::none:
      return x;
    case ActivationKind::relu:
      return x <= 0 ? T{0} : x;
    case ActivationKind::relu6:
      return clamp(x, T{6});
    case ActivationKind::leaky_relu:
      return x < 0 ? alpha * x : x;
    case ActivationKind::sigmoid:
      return T{1} / (T{1} + std::exp(-x));
    case ActivationKind::hard_sigmoid:
      return clamp(alpha * x + beta, T{1});
    case ActivationKind::silu:
      return x / (T{1} + std::exp(-x));
  }
  return x;
}

template float activate<float>(const Activation&, float);
template double activate<double>(const Activation&, double);

namespace ops {

namespace {

const AttrSpec leaky_attrs[] = {{"alpha", 0.01, false, "slope for negative values, finite"}};
const AttrSpec hard_attrs[] = {{"alpha", 1.0 / 6.0, false, "slope, finite"},
                               {"beta", 0.5, false, "value at 0, finite"}};

Dims infer(const OpShapes& shapes) {
  for (const auto& [name, value] : *shapes.attrs) finite_attr(shapes, name);
  return same_as_input(shapes);
}

Activation make_activation(ActivationKind kind, const AttrMap& attrs) {
  Activation activation{kind, 0, 0};
  if (attrs.contains("alpha")) activation.alpha = static_cast<float>(float_attr(attrs, "alpha"));
  if (attrs.contains("beta")) activation.beta = static_cast<float>(float_attr(attrs, "beta"));
  return activation;
}

template <ActivationKind kind, class Acc, class In>
void reference(const ReferenceArgs<Acc, In>& args) {
  const Activation activation = make_activation(kind, *args.attrs);
  const std::int64_t count = args.output_dims.elements();
  for (std::int64_t i = 0; i < count; ++i) args.output[i] = activate(activation, static_cast<Acc>(args.inputs[0][i]));
}

template <ActivationKind kind>
constexpr OpDef activation_op(std::string_view name, std::string_view doc, std::span<const AttrSpec> attrs = {}) {
  return {
      .name = name,
      .doc = doc,
      .inputs = 1,
      .attrs = attrs,
      .weights = {},
      .infer = infer,
      .reference_f32 = reference<kind, float, float>,
      .reference_f64 = reference<kind, double, float>,
      .reference_chain = reference<kind, double, double>,
  };
}

}  // namespace

constinit const OpDef relu = activation_op<ActivationKind::relu>("relu", "max(x, 0)");
constinit const OpDef relu6 = activation_op<ActivationKind::relu6>("relu6", "min(max(x, 0), 6)");
constinit const OpDef leaky_relu =
    activation_op<ActivationKind::leaky_relu>("leaky_relu", "x < 0 ? alpha x : x", leaky_attrs);
constinit const OpDef sigmoid = activation_op<ActivationKind::sigmoid>("sigmoid", "1 / (1 + e^-x)");
constinit const OpDef hard_sigmoid =
    activation_op<ActivationKind::hard_sigmoid>("hard_sigmoid", "min(max(alpha x + beta, 0), 1)", hard_attrs);
constinit const OpDef silu = activation_op<ActivationKind::silu>("silu", "x sigmoid(x)");

}  // namespace ops

namespace {

constexpr std::array activation_ops{
    std::pair{&ops::relu, ActivationKind::relu},
    std::pair{&ops::relu6, ActivationKind::relu6},
    std::pair{&ops::leaky_relu, ActivationKind::leaky_relu},
    std::pair{&ops::sigmoid, ActivationKind::sigmoid},
    std::pair{&ops::hard_sigmoid, ActivationKind::hard_sigmoid},
    std::pair{&ops::silu, ActivationKind::silu},
};

}  // namespace

std::optional<Activation> activation_of(const OpDef& op, const AttrMap& attrs) {
  for (const auto& [candidate, kind] : activation_ops) {
    if (candidate == &op) return ops::make_activation(kind, attrs);
  }
  return std::nullopt;
}

std::string_view to_string(ActivationKind kind) noexcept {
  for (const auto& [op, candidate] : activation_ops) {
    if (candidate == kind) return op->name;
  }
  return "none";
}

}  // namespace resnet
