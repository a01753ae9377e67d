#pragma once

#include "backends/backend.hpp"

namespace resnet::cpu {

/// 3x3 stride-1 convolution by Winograd's F(4x4, 3x3).
extern const Implementation winograd;
/// Convolution whose residual is already in the output's memory (oneDNN's sum post-op): the residual must die here.
extern const Implementation convolution_into_residual;
/// Any convolution; a residual is read as a second operand.
extern const Implementation convolution;
extern const Implementation dense;
extern const Implementation max_pool;
extern const Implementation avg_pool;
extern const Implementation global_avg_pool;
extern const Implementation add;
extern const Implementation mul;
extern const Implementation scale_shift;
extern const Implementation activation;
extern const Implementation softmax;
/// Changes of layout and precision.
extern const Implementation reorder;

}  // namespace resnet::cpu
