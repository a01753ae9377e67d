#pragma once

#include "kernels/kernel.hpp"

namespace resnet::kernels {

/// The file's order ([K,R,S,C/groups] or [K,C]) in the problem's input type, rounded to nearest even.
extern const WeightPack plain_weights;

}  // namespace resnet::kernels
