#pragma once

#include <string>

#include "base/dtype.hpp"
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

}  // namespace resnet::kernels
