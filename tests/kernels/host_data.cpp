#include "kernels/host_data.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <variant>

#include "kernels/numbers.hpp"

namespace resnet::test {
namespace {

enum Stream : std::uint64_t { x_stream = 1, second_stream, weight_stream, scale_stream, shift_stream };

bool is_residual_output(const kernels::Problem& problem) { return !std::holds_alternative<PointwiseProblem>(problem); }

bool sums_products(const kernels::Problem& problem) {
  return std::holds_alternative<ConvProblem>(problem) || std::holds_alternative<DenseProblem>(problem) ||
         std::holds_alternative<PoolDenseProblem>(problem);
}

/// Integers of one operand.
struct Range {
  std::int64_t low, high;
};

Range integer_range(const kernels::Problem& problem, DataKind kind, Stream stream, DType type) {
  const bool positive = kind == DataKind::positive_integers || type == DType::u8;
  if (stream == second_stream && is_residual_output(problem)) return {positive ? 0 : -8, 8};
  const bool products = sums_products(problem) || stream == second_stream;
  if (products) return {positive ? 0 : -4, 4};
  // Up to 8 bits: bf16 holds them, sums and products need rounding.
  return {positive ? 0 : -128, positive ? 255 : 127};
}

void fill(std::vector<float>& values, std::int64_t count, const kernels::Problem& problem, DataKind kind,
          std::uint64_t seed, Stream stream, DType type, float real_size) {
  values.resize(static_cast<std::size_t>(count));
  const Range range = integer_range(problem, kind, stream, type);
  const bool integers = kind != DataKind::real || type == DType::u8;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = integers ? static_cast<float>(random_integer(seed, stream, i, range.low, range.high))
                         : rounded(type, static_cast<double>(random_normal(seed, stream, i) * real_size));
  }
}

/// -4 ... 4 as a hash of the element's position, so that a permuted index cannot cancel.
void position_codes(std::vector<float>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(static_cast<std::int64_t>(random_bits(0, x_stream, i) >> 20) % 9 - 4);
  }
}

/// Makes every sum over the positions of an image and channel a multiple of their number: means are integers.
void make_means_integers(std::vector<float>& x, const PoolDenseProblem& p) {
  const auto positions = static_cast<std::size_t>(p.H * p.W), C = static_cast<std::size_t>(p.C);
  for (std::size_t n = 0; n < static_cast<std::size_t>(p.N); ++n) {
    for (std::size_t c = 0; c < C; ++c) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < positions; ++i) sum += std::llround(x[(n * positions + i) * C + c]);
      const auto count = static_cast<std::int64_t>(positions);
      const std::int64_t missing = ((-sum) % count + count) % count;
      x[((n + 1) * positions - 1) * C + c] += static_cast<float>(missing);
    }
  }
}

/// Rows around +-150, whose powers leave fp32 unless the largest value is taken off first.
void spread_rows(std::vector<float>& x, const SoftmaxProblem& p) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool odd = i / static_cast<std::size_t>(p.C) % 2 != 0;
    x[i] = rounded(p.in, static_cast<double>(4 * x[i] + (odd ? 150.0f : -150.0f)));
  }
}

/// Pad channels are zero by contract.
void zero_pad_channels(std::vector<float>& values, const ValueDesc& desc) {
  if (desc.layout != LayoutId::nhwc) return;
  const std::int64_t width = desc.channels_in_memory();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (static_cast<std::int64_t>(i) % width >= desc.dims.c) values[i] = 0;
  }
}

/// Powers of two. Where the activation is bounded, so small that most results lie inside its range.
void integer_scales(HostData& data, const kernels::Problem& problem, DataKind kind, std::uint64_t seed) {
  const ActivationKind activation = epilogue_of(problem)->activation.kind;
  const bool bounded = activation == ActivationKind::relu6 || activation == ActivationKind::hard_sigmoid;
  const auto length = static_cast<double>(sum_length(problem));
  double size = kind == DataKind::positive_integers ? 4 * length : 7 * std::sqrt(length);
  if (!sums_products(problem)) size = 128;
  const int bounded_exponent = 1 - static_cast<int>(std::lround(std::log2(size)));
  for (std::size_t k = 0; k < data.scale.size(); ++k) {
    const std::uint64_t bits = random_bits(seed, scale_stream, k) >> 20;
    if (bounded) {
      data.scale[k] = std::ldexp(1.0f, bounded_exponent - static_cast<int>(bits % 2));
    } else {
      constexpr float scales[] = {1, 0.5f, 2, 1, 0.5f, 2, -1};
      data.scale[k] = scales[bits % std::size(scales)];
    }
  }
  for (std::size_t k = 0; k < data.shift.size(); ++k) {
    data.shift[k] = static_cast<float>(random_integer(seed, shift_stream, k, bounded ? -2 : -8, bounded ? 2 : 8));
  }
}

}  // namespace

std::string_view to_string(DataKind kind) {
  switch (kind) {
    case DataKind::signed_integers:
      return "signed integers";
    case DataKind::positive_integers:
      return "positive integers";
    default:
      return "real numbers";
  }
}

const EpilogueProblem* epilogue_of(const kernels::Problem& problem) {
  return std::visit(
      [](const auto& own) -> const EpilogueProblem* {
        if constexpr (requires { own.epilogue; }) {
          return &own.epilogue;
        } else {
          return nullptr;
        }
      },
      problem);
}

bool takes_integers(const kernels::Problem& problem) {
  if (std::holds_alternative<SoftmaxProblem>(problem)) return false;
  const EpilogueProblem* const epilogue = epilogue_of(problem);
  return !epilogue ||
         (epilogue->activation.kind != ActivationKind::sigmoid && epilogue->activation.kind != ActivationKind::silu);
}

std::int64_t sum_length(const kernels::Problem& problem) {
  if (const auto* conv = std::get_if<ConvProblem>(&problem)) return conv->R * conv->S * (conv->C / conv->groups);
  if (const auto* dense = std::get_if<DenseProblem>(&problem)) return dense->C;
  if (const auto* both = std::get_if<PoolDenseProblem>(&problem)) return both->C;
  return 1;
}

OperandSizes operand_sizes(const kernels::Problem& problem) {
  OperandSizes s;
  std::visit(
      [&](const auto& p) {
        using P = std::decay_t<decltype(p)>;
        if constexpr (std::is_same_v<P, ConvProblem>) {
          s.x = p.N * p.H * p.W * p.C, s.weight = p.K * p.R * p.S * (p.C / p.groups), s.y_dims = {p.N, p.P, p.Q, p.K};
        } else if constexpr (std::is_same_v<P, DenseProblem>) {
          s.x = p.N * p.C, s.weight = p.K * p.C, s.y_dims = {p.N, 1, 1, p.K};
        } else if constexpr (std::is_same_v<P, PoolDenseProblem>) {
          s.x = p.N * p.H * p.W * p.C, s.weight = p.K * p.C, s.y_dims = {p.N, 1, 1, p.K};
        } else if constexpr (std::is_same_v<P, PoolProblem> || std::is_same_v<P, AdaptivePoolProblem>) {
          s.x = p.N * p.H * p.W * p.C, s.y_dims = {p.N, p.P, p.Q, p.C};
        } else if constexpr (std::is_same_v<P, PointwiseProblem>) {
          s.y_dims = {p.N, p.positions_per_image, 1, p.C};
          s.x = s.y_dims.elements();
          if (p.kind != PointwiseKind::copy) s.second = p.kind == PointwiseKind::multiply_channels ? p.N * p.C : s.x;
        } else if constexpr (std::is_same_v<P, PadProblem>) {
          s.x = p.N * p.H * p.W * p.C;
          s.y_dims = {p.N, p.H + p.pad_top + p.pad_bottom, p.W + p.pad_left + p.pad_right, p.C};
        } else if constexpr (std::is_same_v<P, SoftmaxProblem>) {
          s.x = p.rows * p.C, s.y_dims = {p.rows, 1, 1, p.C};
        } else if constexpr (std::is_same_v<P, TopKProblem>) {
          s.x = p.rows * p.C, s.y_dims = {p.rows, 1, 1, p.k}, s.indices = p.rows * p.k;
        } else {
          s.x = p.in.dims.n * p.in.dims.h * p.in.dims.w * p.in.channels_in_memory();
          s.y_dims = p.out.dims;
          s.y_dims.c = p.out.channels_in_memory();
          if (p.scale_shift) s.scale = s.shift = p.in.dims.c;
        }
        if constexpr (requires { p.dtype; }) {
          s.x_type = s.y_type = p.dtype;
        } else if constexpr (std::is_same_v<P, ConvertProblem>) {
          s.x_type = p.in.dtype, s.y_type = p.out.dtype;
        } else if constexpr (requires { p.out; }) {
          s.x_type = p.in, s.y_type = p.out;
        } else {
          s.x_type = p.in;  // top-k: values are f32
        }
      },
      problem);
  s.y = s.y_dims.elements();
  s.second_type = s.x_type;
  if (const EpilogueProblem* const epilogue = epilogue_of(problem)) {
    if (epilogue->scale) s.scale = s.y_dims.c;
    if (epilogue->shift) s.shift = s.y_dims.c;
    if (epilogue->residual) s.second = s.y, s.second_type = s.y_type;
  }
  return s;
}

HostData make_data(const kernels::Problem& problem, DataKind kind, std::uint64_t seed) {
  const OperandSizes sizes = operand_sizes(problem);
  const float weight_size = 1 / std::sqrt(static_cast<float>(sum_length(problem)));
  HostData data;
  fill(data.x, sizes.x, problem, kind, seed, x_stream, sizes.x_type, 1);
  fill(data.second, sizes.second, problem, kind, seed, second_stream, sizes.second_type, 1);
  fill(data.weight, sizes.weight, problem, kind, seed, weight_stream, sizes.x_type, weight_size);
  data.scale.resize(static_cast<std::size_t>(sizes.scale));
  data.shift.resize(static_cast<std::size_t>(sizes.shift));
  if (kind == DataKind::real) {
    for (std::size_t k = 0; k < data.scale.size(); ++k)
      data.scale[k] = 1 + 0.25f * random_normal(seed, scale_stream, k);
    for (std::size_t k = 0; k < data.shift.size(); ++k) data.shift[k] = 0.5f * random_normal(seed, shift_stream, k);
  } else {
    if (kind == DataKind::signed_integers && sums_products(problem)) position_codes(data.x);
    if (const auto* both = std::get_if<PoolDenseProblem>(&problem)) make_means_integers(data.x, *both);
    if (epilogue_of(problem)) integer_scales(data, problem, kind, seed);
    if (std::holds_alternative<ConvertProblem>(problem)) {
      std::fill(data.scale.begin(), data.scale.end(), 0.5f);
      std::fill(data.shift.begin(), data.shift.end(), -8.0f);
    }
  }
  if (const auto* softmax = std::get_if<SoftmaxProblem>(&problem)) spread_rows(data.x, *softmax);
  if (const auto* convert = std::get_if<ConvertProblem>(&problem)) zero_pad_channels(data.x, convert->in);
  return data;
}

HostData with_tf32_operands(HostData data) {
  for (float& value : data.x) value = rounded_to_tf32(value);
  for (float& value : data.weight) value = rounded_to_tf32(value);
  return data;
}

}  // namespace resnet::test
