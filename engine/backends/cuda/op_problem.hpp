#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kernels/kernel.hpp"
#include "ops/op.hpp"

namespace resnet::cuda {

/// Element types of a node's values on the device and the arithmetic of its products.
struct NodeTypes {
  DType in = DType::f32, out = DType::f32;
  Precision precision = Precision::fp32;
};

/// The kernel problem of one node: an op with completed attributes, shapes that passed its shape rule, and what follows
/// it. Operands::x is the op's first input, Operands::second its second input or the epilogue's residual.
///
/// A bias of conv2d or dense, and all of batch_norm, count as the epilogue's scale and shift: the caller evaluates them
/// together with the node's affine stages. An op without arithmetic (flatten, identity) is a copy, for a caller that
/// cannot alias. Nullopt for an op that launches nothing ("input").
/// @throws Error unsupported for an epilogue that the op does not take (a residual behind anything but conv2d and
/// dense)
std::optional<kernels::Problem> op_problem(const OpDef& op, const OpShapes& shapes, const Dims& output,
                                           const EpilogueProblem& epilogue, const NodeTypes& types);

/// Index of the kind of problem (kernels::Problem) that op_problem() makes of the op; nullopt where it makes none.
std::optional<std::size_t> problem_kind(const OpDef& op, const AttrMap& attrs);
/// Whether the op's kernels store another element type than they read.
bool can_change_type(const OpDef& op);

/// The values to pack for a node's kernel, in the order of its problem: as they are but for a dense layer whose columns
/// meet a flattened NCHW value (attribute input_order); those are brought into NHWC order.
std::vector<float> kernel_weights(const OpDef& op, const OpShapes& shapes, std::span<const float> weight);

}  // namespace resnet::cuda
