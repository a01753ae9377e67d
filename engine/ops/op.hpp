#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/problem.hpp"
#include "base/shape.hpp"

namespace resnet {

/// A layer attribute as it stands in the model file. JSON integers become int64, other numbers double.
using AttrValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>>;
using AttrMap = std::map<std::string, AttrValue, std::less<>>;

/// An attribute that an op knows. The alternative held by `fallback` is the attribute's type.
struct AttrSpec {
  std::string_view name;
  AttrValue fallback;  ///< the value when absent; for a required attribute only its type counts
  bool required = false;
  std::string_view doc;  ///< meaning, range
};

/// A weight that an op takes, in the order of Node::weights.
struct WeightSpec {
  std::string_view role;  ///< "weight", "bias", "gamma" ...
  bool required = true;
  std::string_view shape;  ///< for people: "[K, R, S, C/groups]"
};

using TensorShape = std::vector<std::int64_t>;

/// What an op's shape rule sees. `weights` has one entry per WeightSpec, null where absent.
struct OpShapes {
  std::string_view layer;          ///< for error messages
  const AttrMap* attrs = nullptr;  ///< complete: defaults filled in by complete_attrs()
  std::span<const Dims> inputs;
  std::span<const TensorShape* const> weights;
};

/// Operands of a reference loop: NHWC inputs, float weights in file order, output of the accumulator's type. The output
/// overlaps no input.
template <class Acc, class In = float>
struct ReferenceArgs {
  const AttrMap* attrs = nullptr;
  std::span<const In* const> inputs;
  std::span<const Dims> input_dims;
  std::span<const float* const> weights;  ///< per WeightSpec, null where absent
  std::span<const TensorShape* const> weight_shapes;
  Acc* output = nullptr;  ///< output_dims.elements() values, NHWC
  Dims output_dims;
};

/// One line of the op table: everything the project knows about an op. See docs/ops.md for the list.
struct OpDef {
  std::string_view name;
  std::string_view doc;
  int inputs = 1;  ///< number of inputs in the file
  std::span<const AttrSpec> attrs;
  std::span<const WeightSpec> weights;
  bool internal = false;        ///< made by passes, refused in files
  bool takes_epilogue = false;  ///< may absorb scale/shift, residual and activation
  /// Output size. @throws Error bad_geometry, bad_attribute, tensor_shape
  Dims (*infer)(const OpShapes&) = nullptr;
  /// Multiply-accumulates at these shapes; null means 0.
  std::int64_t (*macs)(const OpShapes&, const Dims& output) = nullptr;
  /// The definition as a loop. The double form is the oracle of every kernel test.
  void (*reference_f32)(const ReferenceArgs<float>&) = nullptr;
  void (*reference_f64)(const ReferenceArgs<double>&) = nullptr;
  /// The same with double inputs: whole networks in double, so that a pass is proven bit by bit.
  void (*reference_chain)(const ReferenceArgs<double, double>&) = nullptr;
};

/// All ops in one list (op_table.cpp).
std::span<const OpDef* const> op_table();
/// The op of that name, or null.
const OpDef* find_op(std::string_view name);

/// Checks types and names against the op's specs and fills in defaults.
/// @throws Error bad_attribute that names layer and attribute
AttrMap complete_attrs(const OpDef& op, const AttrMap& attrs, std::string_view layer);

/// Typed access to a completed map. @throws Error bad_attribute
std::int64_t int_attr(const AttrMap& attrs, std::string_view name);
double float_attr(const AttrMap& attrs, std::string_view name);  ///< an integer is accepted
bool bool_attr(const AttrMap& attrs, std::string_view name);
const std::string& string_attr(const AttrMap& attrs, std::string_view name);
const std::vector<std::int64_t>& ints_attr(const AttrMap& attrs, std::string_view name);

/// Resolved problems for kernels, from completed attributes and shapes that passed the op's shape rule. The epilogue is
/// left empty: a node's epilogue is its owner's business. No allocation.
ConvProblem conv_problem(const OpShapes& shapes, const Dims& output);
PoolProblem pool_problem(const OpShapes& shapes, const Dims& output, bool max);
DenseProblem dense_problem(const OpShapes& shapes, const Dims& output);

/// The activation that an activation op stands for, or nullopt for any other op.
std::optional<Activation> activation_of(const OpDef& op, const AttrMap& attrs);
/// The op's name, "none" for none.
std::string_view to_string(ActivationKind kind) noexcept;
/// One value through an activation; NaN stays NaN.
template <class T>
T activate(const Activation& activation, T value);
extern template float activate<float>(const Activation&, float);
extern template double activate<double>(const Activation&, double);

}  // namespace resnet
