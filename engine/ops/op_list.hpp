#pragma once

#include "ops/op.hpp"

/// The definitions behind op_table(), one file or small group each. Constant-initialised; use find_op() outside this
/// layer.
namespace resnet::ops {

extern const OpDef input;                                                 // input.cpp
extern const OpDef conv2d;                                                // conv2d.cpp
extern const OpDef channel_conv1d;                                        // channel_conv1d.cpp
extern const OpDef dense;                                                 // dense.cpp
extern const OpDef batch_norm, scale_shift;                               // batch_norm.cpp
extern const OpDef relu, relu6, leaky_relu, sigmoid, hard_sigmoid, silu;  // activations.cpp
extern const OpDef add, mul, identity;                                    // elementwise.cpp
extern const OpDef max_pool, avg_pool;                                    // pool.cpp
extern const OpDef global_avg_pool, adaptive_avg_pool;                    // adaptive_pool.cpp
extern const OpDef pad;                                                   // pad.cpp
extern const OpDef flatten;                                               // flatten.cpp
extern const OpDef softmax;                                               // softmax.cpp

}  // namespace resnet::ops
