#pragma once

#include <cstdint>

#include "base/dtype.hpp"
#include "base/shape.hpp"

namespace resnet {

/// Activation functions. relu6 = min(max(x, 0), 6); leaky_relu = x < 0 ? alpha x : x; sigmoid = 1 / (1 + e^-x);
/// hard_sigmoid = min(max(alpha x + beta, 0), 1); silu = x sigmoid(x). NaN stays NaN in the reference loops; a library
/// may return a limit of the range for it.
enum class ActivationKind : std::uint8_t { none, relu, relu6, leaky_relu, sigmoid, hard_sigmoid, silu };

struct Activation {
  ActivationKind kind = ActivationKind::none;
  float alpha = 0, beta = 0;
  bool operator==(const Activation&) const = default;
};

/// What happens to an fp32 accumulator before it is stored:
/// out = sat(act(acc * scale[k] + shift[k] + residual * res_scale) * out_scale + zero_point).
struct EpilogueProblem {
  bool scale = false;     ///< per output channel
  bool shift = false;     ///< per output channel
  bool residual = false;  ///< a second tensor of the output's shape
  Activation activation;
  float res_scale = 1, out_scale = 1;
  std::int32_t zero_point = 0;
  bool operator==(const EpilogueProblem&) const = default;
};

/// A 2-D convolution with resolved padding: x [N,H,W,C] * w [K,R,S,C/groups] -> y [N,P,Q,K].
struct ConvProblem {
  std::int64_t N = 0, H = 0, W = 0, C = 0, K = 0, R = 0, S = 0, P = 0, Q = 0;
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  std::int64_t dilation_h = 1, dilation_w = 1;
  std::int64_t groups = 1;
  DType in = DType::f32, out = DType::f32;
  Precision precision = Precision::fp32;
  bool batch_invariant = false;  ///< an image's result has the same bits in every batch
  EpilogueProblem epilogue;

  std::int64_t macs() const noexcept { return N * P * Q * K * R * S * (C / groups); }
  bool operator==(const ConvProblem&) const = default;
};

/// A window operation with resolved padding: x [N,H,W,C] -> y [N,P,Q,C].
struct PoolProblem {
  std::int64_t N = 0, H = 0, W = 0, C = 0, R = 0, S = 0, P = 0, Q = 0;
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  bool max = true;
  bool count_include_pad = false;
  DType dtype = DType::f32;
  bool operator==(const PoolProblem&) const = default;
};

/// y [N,K] = x [N,C] * w [K,C] with the same epilogue.
struct DenseProblem {
  std::int64_t N = 0, C = 0, K = 0;
  DType in = DType::f32, out = DType::f32;
  Precision precision = Precision::fp32;
  bool batch_invariant = false;  ///< a row's result has the same bits in every batch
  EpilogueProblem epilogue;
  bool operator==(const DenseProblem&) const = default;
};

/// y [N,P,Q,C]: position (p,q) is the mean of rows floor(p H / P) ... ceil((p + 1) H / P) - 1 and the same columns.
/// P = Q = 1 is the global average.
struct AdaptivePoolProblem {
  std::int64_t N = 0, H = 0, W = 0, C = 0, P = 0, Q = 0;
  DType in = DType::f32, out = DType::f32;
  bool operator==(const AdaptivePoolProblem&) const = default;
};

/// y = epilogue(x), epilogue(x + second) or epilogue(x * second) for `positions` = N H W rows of C channels. `second`
/// has x's size and type; for multiply_channels it is [N,1,1,C]. Residual add, batch norm, activation, squeeze-excite
/// scale, copy and change of type are all this. The epilogue has no residual of its own.
enum class PointwiseKind : std::uint8_t { copy, add, multiply, multiply_channels };
struct PointwiseProblem {
  PointwiseKind kind = PointwiseKind::copy;
  std::int64_t N = 0, positions_per_image = 0, C = 0;
  DType in = DType::f32, out = DType::f32;
  EpilogueProblem epilogue;
  bool operator==(const PointwiseProblem&) const = default;
};

/// A border of zeros, or of the mirrored input (the edge itself not repeated).
struct PadProblem {
  std::int64_t N = 0, H = 0, W = 0, C = 0;
  std::int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  bool reflect = false;
  DType dtype = DType::f32;
  bool operator==(const PadProblem&) const = default;
};

/// y[n,:] = e^(x - max x) / sum, over the C values of each of `rows` rows.
struct SoftmaxProblem {
  std::int64_t rows = 0, C = 0;
  DType in = DType::f32, out = DType::f32;
  bool operator==(const SoftmaxProblem&) const = default;
};

/// The k largest of each row, descending, as f32 values and int32 indices; of equal values the lower index comes first,
/// NaN counts as the smallest.
struct TopKProblem {
  std::int64_t rows = 0, C = 0, k = 0;
  DType in = DType::f32;
  bool operator==(const TopKProblem&) const = default;
};

/// The same values in another type, layout or channel padding (pad channels become 0). With `scale_shift`:
/// y = x * scale[c] + shift[c], so that u8 pixels become a normalised network input in one pass.
struct ConvertProblem {
  ValueDesc in, out;  ///< equal dims; u8, f32, f16 or bf16; NHWC or NCHW
  bool scale_shift = false;
  bool operator==(const ConvertProblem&) const = default;
};

/// Global average pooling and the dense layer behind it: y [N,K] = epilogue(mean over H W of x [N,H,W,C] * w [K,C]).
struct PoolDenseProblem {
  std::int64_t N = 0, H = 0, W = 0, C = 0, K = 0;
  DType in = DType::f32, out = DType::f32;
  Precision precision = Precision::fp32;
  EpilogueProblem epilogue;
  bool operator==(const PoolDenseProblem&) const = default;
};

}  // namespace resnet
