#pragma once

#include "graph/passes.hpp"

/// One function per file of this folder; pass_list.cpp puts them in order.
namespace resnet::passes {

/// Removes identity (dropout) and every flatten of a value that has one position at any size. The layer's name moves to
/// the producer. A node stays where its name or its producer's name is to be kept.
Graph remove_identity(Graph graph, const PassOptions& options);
/// Removes nodes that do not lead to the output.
Graph drop_dead(Graph graph, const PassOptions& options);
/// The bias of conv2d and dense becomes the first affine stage of their epilogue.
Graph bias_to_epilogue(Graph graph, const PassOptions& options);
/// batch_norm becomes scale_shift with one affine stage.
Graph batch_norm_to_scale_shift(Graph graph, const PassOptions& options);
/// scale_shift moves into the epilogue of the conv2d, dense or scale_shift before it when nothing else reads that value
/// and no residual or activation stands between.
Graph fold_scale_shift(Graph graph, const PassOptions& options);
/// A zero pad before a conv2d with explicit or no padding becomes its padding. Never into a pool: -inf and the divisor
/// are not zeros.
Graph fold_zero_pad(Graph graph, const PassOptions& options);
/// add moves into the epilogue of one of the two convolutions that feed it, the later one if both qualify.
Graph fuse_residual(Graph graph, const PassOptions& options);
/// An activation moves into the epilogue of the op before it.
Graph fuse_activation(Graph graph, const PassOptions& options);
/// flatten in NCHW order before dense: dense reads its weight's columns in that order, and flatten costs nothing. The
/// value in the file's order is not computed any more, so the flatten's layers move to dense and its value gets a new
/// name.
Graph flatten_order(Graph graph, const PassOptions& options);

}  // namespace resnet::passes
