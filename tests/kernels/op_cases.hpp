#pragma once

#include <optional>
#include <vector>

#include "base/problem.hpp"
#include "ops/op.hpp"

namespace resnet::test {

/// One node: an op with completed attributes, shapes that its rule takes, and an epilogue where it takes one.
struct NodeCase {
  const OpDef* op = nullptr;
  AttrMap attrs;
  std::vector<Dims> inputs;
  std::vector<std::optional<TensorShape>> weights;  ///< per WeightSpec
  Dims output;
  EpilogueProblem epilogue;

  /// Pointers for shapes(); valid as long as this object stays where it is.
  std::vector<const TensorShape*> weight_shapes() const;
};

/// A random node of the op, a function of the seed alone. `largest`: bound of height, width and channels.
/// @throws std::logic_error for an op that this file does not know yet
NodeCase random_node(const OpDef& op, std::uint64_t seed, std::int64_t largest);

}  // namespace resnet::test
