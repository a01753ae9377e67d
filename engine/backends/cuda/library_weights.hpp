#pragma once

#include "backends/backend.hpp"

/// Weights as the libraries read them: in the file's order, rounded once to the type of the values.
namespace resnet::cuda {

/// The filter of a step's only node, multiplied by the epilogue's scale where `folded`. A dense layer's columns stand
/// in NHWC order. Packing throws nonfinite_weight where the product does not fit the type.
WeightRequest library_filter(const StepProblem& step, DType dtype, bool folded);

/// The epilogue's shift in `dtype`; zeros where the node has none.
WeightRequest library_shift(const StepProblem& step, DType dtype);

}  // namespace resnet::cuda
