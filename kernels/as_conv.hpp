#pragma once

#include "base/problem.hpp"

namespace resnet::kernels {

/// A dense layer is a 1x1 convolution of N images of one position.
inline ConvProblem as_conv(const DenseProblem& dense) {
  ConvProblem conv;
  conv.N = dense.N, conv.C = dense.C, conv.K = dense.K;
  conv.H = conv.W = conv.R = conv.S = conv.P = conv.Q = 1;
  conv.in = dense.in, conv.out = dense.out;
  conv.precision = dense.precision;
  conv.batch_invariant = dense.batch_invariant;
  conv.epilogue = dense.epilogue;
  return conv;
}

}  // namespace resnet::kernels
