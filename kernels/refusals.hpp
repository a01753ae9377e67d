#pragma once

#include <algorithm>
#include <string>

#include "base/dtype.hpp"
#include "base/problem.hpp"
#include "base/support.hpp"

/// Reasons that several kernels share.
namespace resnet::kernels {

inline bool is_float(DType type) { return type == DType::f32 || type == DType::f16 || type == DType::bf16; }

inline Support needs_float(DType type, const char* what) {
  if (is_float(type)) return Support::yes();
  return Support::no(std::string(what) + " must be f32, f16 or bf16, is " + std::string(to_string(type)));
}

inline Support needs_float(DType in, DType out) {
  if (Support input = needs_float(in, "the input"); !input) return input;
  return needs_float(out, "the output");
}

inline Support needs_float_precision(Precision precision) {
  if (precision != Precision::int8 && precision != Precision::fp8) return Support::yes();
  return Support::no("computes in fp32, not in " + std::string(to_string(precision)));
}

/// A size that a kernel keeps in 31 bits.
inline Support needs_31_bits(std::int64_t size, const char* what) {
  if (size < (std::int64_t{1} << 31)) return Support::yes();
  return Support::no(std::string(what) + " must be below 2^31, is " + std::to_string(size));
}

/// What the coordinates of a filter's taps can reach.
inline Support needs_31_bit_window(const ConvProblem& p) {
  const std::int64_t reach_h = std::max(p.H, p.P * p.stride_h) + p.R * p.dilation_h + p.pad_top;
  const std::int64_t reach_w = std::max(p.W, p.Q * p.stride_w) + p.S * p.dilation_w + p.pad_left;
  if (Support bits = needs_31_bits(reach_h, "the padded height with a dilated kernel"); !bits) return bits;
  return needs_31_bits(reach_w, "the padded width with a dilated kernel");
}

}  // namespace resnet::kernels
