#pragma once

#include "ops/op.hpp"

namespace resnet {

/// What follows an op, already evaluated: value = act(op * scale[c] + shift[c] + residual). Null pointers stand for 1,
/// 0 and no residual. `scale` and `shift` have output_dims.c values, `residual` has the output's size.
template <class Acc, class In = float>
struct ReferenceEpilogue {
  const Acc* scale = nullptr;
  const Acc* shift = nullptr;
  const In* residual = nullptr;
  Activation activation;
};

/// One node, op and epilogue, by the op's reference loop on the calling thread. No allocation. The output overlaps
/// neither the inputs nor the residual. Thread-safe.
/// @throws Error unsupported for an op without a loop ("input")
void run_reference_node(const OpDef& op, const ReferenceArgs<float>& args, const ReferenceEpilogue<float>& epilogue);
/// Float operands, double arithmetic and output.
void run_reference_node(const OpDef& op, const ReferenceArgs<double>& args, const ReferenceEpilogue<double>& epilogue);
/// Double throughout.
void run_reference_node(const OpDef& op, const ReferenceArgs<double, double>& args,
                        const ReferenceEpilogue<double, double>& epilogue);

}  // namespace resnet
