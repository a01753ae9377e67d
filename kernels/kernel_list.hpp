#pragma once

#include "kernels/kernel.hpp"

/// Every kernel of this folder, for the catalog and for kernels that build on one another.
namespace resnet::kernels {

// The matrix unit.
extern const Kernel conv_stem;
extern const Kernel conv_grouped_mma;
extern const Kernel conv_mma;
extern const Kernel dense_mma;

// Without tensor cores; together they take everything.
extern const Kernel pointwise;
extern const Kernel conv_direct;
extern const Kernel conv_depthwise;
extern const Kernel conv_grouped;
extern const Kernel dense_direct;
extern const Kernel pool_dense;
extern const Kernel pool;
extern const Kernel adaptive_pool;
extern const Kernel convert;
extern const Kernel pad;
extern const Kernel softmax;
extern const Kernel top_k;

}  // namespace resnet::kernels
