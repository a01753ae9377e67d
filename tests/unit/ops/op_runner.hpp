#pragma once

#include <string>
#include <vector>

#include "ops/op.hpp"
#include "ops/reference.hpp"

namespace resnet::test {

using Ints = std::vector<std::int64_t>;

struct Tensor {
  Dims dims;
  std::vector<float> values;  ///< NHWC
};
struct Weight {
  TensorShape shape;
  std::vector<float> values;
};

/// A row of W positions with one channel.
Tensor row(std::vector<float> values);
/// 0, 1, 2 ... in NHWC order.
Tensor counted(const Dims& dims);

/// One layer named "layer" with its operands; weights in the op's order, absent ones empty.
struct OpCall {
  std::string op;
  AttrMap attrs;
  std::vector<Tensor> inputs;
  std::vector<Weight> weights;
};

/// The op's shape rule. @throws Error
Dims infer(const OpCall& call);

struct OpResult {
  Dims dims;
  std::vector<double> values;
};
/// Runs all three forms of the reference loop into buffers of NaN and expects them to agree: bit by bit in double, to
/// 1e-5 of the largest value in float. Returns the double form.
OpResult run(const OpCall& call, const Activation& activation = {});

/// The same for operands of one row: runs them as one column too (sizes, kernel and [h, w] attributes exchanged) and
/// expects the same values, so that no case tests one axis alone.
OpResult run_on_both_axes(const OpCall& call);

}  // namespace resnet::test
