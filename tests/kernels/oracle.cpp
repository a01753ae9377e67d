#include "kernels/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <variant>

#include "base/parallel.hpp"

namespace resnet::test {
namespace {

using Values = std::vector<double>;

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

double activated(const Activation& activation, double v) {
  switch (activation.kind) {
    case ActivationKind::none:
      return v;
    case ActivationKind::relu:
      return v <= 0 ? 0 : v;
    case ActivationKind::relu6:
      return v <= 0 ? 0 : v > 6 ? 6 : v;
    case ActivationKind::leaky_relu:
      return v < 0 ? static_cast<double>(activation.alpha) * v : v;
    case ActivationKind::sigmoid:
      return 1 / (1 + std::exp(-v));
    case ActivationKind::hard_sigmoid: {
      const double line = static_cast<double>(activation.alpha) * v + static_cast<double>(activation.beta);
      return line <= 0 ? 0 : line > 1 ? 1 : line;
    }
    case ActivationKind::silu:
      return v / (1 + std::exp(-v));
  }
  return v;
}

/// y in place, [..., K] with k fastest.
void finish(Values& y, std::int64_t K, const EpilogueProblem& e, const ExactOperands& operands) {
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t k = i % index(K);
    double v = y[i];
    if (e.scale) v *= static_cast<double>(operands.scale[k]);
    if (e.shift) v += static_cast<double>(operands.shift[k]);
    if (e.residual) v += operands.second[i] * static_cast<double>(e.res_scale);
    y[i] = activated(e.activation, v) * static_cast<double>(e.out_scale) + static_cast<double>(e.zero_point);
  }
}

/// w[k][rest] -> double [rest][k] per group, so that the inner loop below runs along memory.
Values k_fastest(std::span<const float> weight, std::int64_t K, std::int64_t rest) {
  Values turned(weight.size());
  for (std::int64_t k = 0; k < K; ++k) {
    for (std::int64_t i = 0; i < rest; ++i) {
      turned[index(i * K + k)] = static_cast<double>(weight[index(k * rest + i)]);
    }
  }
  return turned;
}

ExactResult run(const ConvProblem& p, const ExactOperands& operands, int threads) {
  const std::int64_t C = p.C / p.groups, K = p.K / p.groups, taps = p.R * p.S * C;
  Values y(index(p.N * p.P * p.Q * p.K), 0.0);
  for (std::int64_t g = 0; g < p.groups; ++g) {
    const Values weight = k_fastest(operands.weight.subspan(index(g * K * taps), index(K * taps)), K, taps);
    parallel_for(index(p.N * p.P), threads, [&](std::size_t row) {
      const std::int64_t n = static_cast<std::int64_t>(row) / p.P, out_row = static_cast<std::int64_t>(row) % p.P;
      for (std::int64_t q = 0; q < p.Q; ++q) {
        double* const sums = y.data() + ((n * p.P + out_row) * p.Q + q) * p.K + g * K;
        for (std::int64_t r = 0; r < p.R; ++r) {
          const std::int64_t h = out_row * p.stride_h + r * p.dilation_h - p.pad_top;
          if (h < 0 || h >= p.H) continue;
          for (std::int64_t s = 0; s < p.S; ++s) {
            const std::int64_t w = q * p.stride_w + s * p.dilation_w - p.pad_left;
            if (w < 0 || w >= p.W) continue;
            const double* const x = operands.x.data() + ((n * p.H + h) * p.W + w) * p.C + g * C;
            const double* const filter = weight.data() + (r * p.S + s) * C * K;
            for (std::int64_t c = 0; c < C; ++c) {
              for (std::int64_t k = 0; k < K; ++k) sums[k] += x[c] * filter[c * K + k];
            }
          }
        }
      }
    });
  }
  finish(y, p.K, p.epilogue, operands);
  return {std::move(y), {}};
}

ExactResult run(const DenseProblem& p, const ExactOperands& operands, int) {
  const Values weight = k_fastest(operands.weight, p.K, p.C);
  Values y(index(p.N * p.K), 0.0);
  for (std::int64_t n = 0; n < p.N; ++n) {
    for (std::int64_t c = 0; c < p.C; ++c) {
      const double x = operands.x[index(n * p.C + c)];
      for (std::int64_t k = 0; k < p.K; ++k) y[index(n * p.K + k)] += x * weight[index(c * p.K + k)];
    }
  }
  finish(y, p.K, p.epilogue, operands);
  return {std::move(y), {}};
}

ExactResult run(const PoolProblem& p, const ExactOperands& operands, int) {
  Values y;
  y.reserve(index(p.N * p.P * p.Q * p.C));
  for (std::int64_t n = 0; n < p.N; ++n) {
    for (std::int64_t i = 0; i < p.P; ++i) {
      for (std::int64_t j = 0; j < p.Q; ++j) {
        const std::int64_t top = i * p.stride_h - p.pad_top, left = j * p.stride_w - p.pad_left;
        const std::int64_t padded =
            (std::min(top + p.R, p.H + p.pad_bottom) - top) * (std::min(left + p.S, p.W + p.pad_right) - left);
        for (std::int64_t c = 0; c < p.C; ++c) {
          double best = -std::numeric_limits<double>::infinity(), sum = 0;
          std::int64_t count = 0;
          for (std::int64_t h = top; h < top + p.R; ++h) {
            for (std::int64_t w = left; w < left + p.S; ++w) {
              if (h < 0 || h >= p.H || w < 0 || w >= p.W) continue;
              const double x = operands.x[index(((n * p.H + h) * p.W + w) * p.C + c)];
              if (x > best || std::isnan(x)) best = x;
              sum += x, ++count;
            }
          }
          y.push_back(p.max ? best : sum / static_cast<double>(p.count_include_pad ? padded : count));
        }
      }
    }
  }
  return {std::move(y), {}};
}

ExactResult run(const AdaptivePoolProblem& p, const ExactOperands& operands, int) {
  Values y;
  y.reserve(index(p.N * p.P * p.Q * p.C));
  for (std::int64_t n = 0; n < p.N; ++n) {
    for (std::int64_t i = 0; i < p.P; ++i) {
      for (std::int64_t j = 0; j < p.Q; ++j) {
        const std::int64_t top = i * p.H / p.P, bottom = ((i + 1) * p.H + p.P - 1) / p.P;
        const std::int64_t left = j * p.W / p.Q, right = ((j + 1) * p.W + p.Q - 1) / p.Q;
        for (std::int64_t c = 0; c < p.C; ++c) {
          double sum = 0;
          for (std::int64_t h = top; h < bottom; ++h) {
            for (std::int64_t w = left; w < right; ++w) sum += operands.x[index(((n * p.H + h) * p.W + w) * p.C + c)];
          }
          y.push_back(sum / static_cast<double>((bottom - top) * (right - left)));
        }
      }
    }
  }
  return {std::move(y), {}};
}

ExactResult run(const PointwiseProblem& p, const ExactOperands& operands, int) {
  Values y(operands.x.begin(), operands.x.end());
  const std::int64_t per_image = p.positions_per_image * p.C;
  for (std::int64_t i = 0; i < p.N * per_image; ++i) {
    double& value = y[index(i)];
    if (p.kind == PointwiseKind::add) value += operands.second[index(i)];
    if (p.kind == PointwiseKind::multiply) value *= operands.second[index(i)];
    if (p.kind == PointwiseKind::multiply_channels) value *= operands.second[index(i / per_image * p.C + i % p.C)];
  }
  finish(y, p.C, p.epilogue, operands);
  return {std::move(y), {}};
}

ExactResult run(const PadProblem& p, const ExactOperands& operands, int) {
  Values y;
  const auto mirrored = [](std::int64_t i, std::int64_t size) {
    return i < 0 ? -i : i > size - 1 ? size - 1 - (i - (size - 1)) : i;
  };
  for (std::int64_t n = 0; n < p.N; ++n) {
    for (std::int64_t i = -p.pad_top; i < p.H + p.pad_bottom; ++i) {
      for (std::int64_t j = -p.pad_left; j < p.W + p.pad_right; ++j) {
        const std::int64_t h = p.reflect ? mirrored(i, p.H) : i, w = p.reflect ? mirrored(j, p.W) : j;
        const bool inside = h >= 0 && h < p.H && w >= 0 && w < p.W;
        for (std::int64_t c = 0; c < p.C; ++c)
          y.push_back(inside ? operands.x[index(((n * p.H + h) * p.W + w) * p.C + c)] : 0);
      }
    }
  }
  return {std::move(y), {}};
}

ExactResult run(const SoftmaxProblem& p, const ExactOperands& operands, int) {
  Values y;
  for (std::int64_t row = 0; row < p.rows; ++row) {
    const auto x = operands.x.subspan(index(row * p.C), index(p.C));
    const double largest = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (const double value : x) sum += std::exp(value - largest);
    for (const double value : x) y.push_back(std::exp(value - largest) / sum);
  }
  return {std::move(y), {}};
}

ExactResult run(const TopKProblem& p, const ExactOperands& operands, int) {
  ExactResult result;
  for (std::int64_t row = 0; row < p.rows; ++row) {
    const auto x = operands.x.subspan(index(row * p.C), index(p.C));
    std::vector<std::int32_t> order(x.size());
    std::iota(order.begin(), order.end(), 0);
    const auto key = [&](std::int32_t i) {
      const double value = x[static_cast<std::size_t>(i)];
      return std::isnan(value) ? std::pair(0, 0.0) : std::pair(1, value);
    };
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return key(a) > key(b); });
    for (std::int64_t i = 0; i < p.k; ++i) {
      result.indices.push_back(order[index(i)]);
      result.y.push_back(x[static_cast<std::size_t>(order[index(i)])]);
    }
  }
  return result;
}

std::size_t place(const ValueDesc& desc, std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
  const Dims& d = desc.dims;
  if (desc.layout == LayoutId::nchw) return index(((n * d.c + c) * d.h + h) * d.w + w);
  return index(((n * d.h + h) * d.w + w) * desc.channels_in_memory() + c);
}

ExactResult run(const ConvertProblem& p, const ExactOperands& operands, int) {
  const Dims& d = p.in.dims;
  Values y(index(operand_sizes(p).y), 0.0);
  for (std::int64_t n = 0; n < d.n; ++n) {
    for (std::int64_t h = 0; h < d.h; ++h) {
      for (std::int64_t w = 0; w < d.w; ++w) {
        for (std::int64_t c = 0; c < d.c; ++c) {
          double v = operands.x[place(p.in, n, h, w, c)];
          if (p.scale_shift)
            v = v * static_cast<double>(operands.scale[index(c)]) + static_cast<double>(operands.shift[index(c)]);
          y[place(p.out, n, h, w, c)] = v;
        }
      }
    }
  }
  return {std::move(y), {}};
}

ExactResult run(const PoolDenseProblem& p, const ExactOperands& operands, int threads) {
  const Values means = run(AdaptivePoolProblem{p.N, p.H, p.W, p.C, 1, 1, p.in, DType::f32}, operands, threads).y;
  DenseProblem dense;
  dense.N = p.N, dense.C = p.C, dense.K = p.K, dense.epilogue = p.epilogue;
  ExactOperands inner = operands;
  inner.x = means;
  return run(dense, inner, threads);
}

}  // namespace

ExactResult exact_result(const kernels::Problem& problem, const ExactOperands& operands, int threads) {
  return std::visit([&](const auto& own) { return run(own, operands, threads); }, problem);
}

ExactResult exact_result(const kernels::Problem& problem, const HostData& data, int threads) {
  const Values x(data.x.begin(), data.x.end()), second(data.second.begin(), data.second.end());
  return exact_result(problem, {x, second, data.weight, data.scale, data.shift}, threads);
}

}  // namespace resnet::test
