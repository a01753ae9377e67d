#include "backends/cpu/winograd.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "base/device_info.hpp"
#include "support/random_model.hpp"

namespace resnet::cpu {
namespace {

struct Case {
  std::int64_t N, H, W, C, K, pad_top, pad_left, pad_bottom, pad_right;
  bool residual;
  ActivationKind activation;
};

ConvProblem conv_of(const Case& c) {
  ConvProblem conv;
  conv.N = c.N, conv.H = c.H, conv.W = c.W, conv.C = c.C, conv.K = c.K, conv.R = conv.S = 3;
  conv.pad_top = c.pad_top, conv.pad_left = c.pad_left, conv.pad_bottom = c.pad_bottom, conv.pad_right = c.pad_right;
  conv.P = c.H + c.pad_top + c.pad_bottom - 2;
  conv.Q = c.W + c.pad_left + c.pad_right - 2;
  conv.epilogue.activation = {c.activation, 0.1f, 0};
  return conv;
}

/// Offset of (n, c, y, x) in nChw8c or NHWC.
std::size_t offset(bool blocked, std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x, std::int64_t C,
                   std::int64_t H, std::int64_t W) {
  return static_cast<std::size_t>(blocked ? (((n * (C / 8) + c / 8) * H + y) * W + x) * 8 + c % 8
                                          : ((n * H + y) * W + x) * C + c);
}

/// Offset of (point, tile, channel) among `tiles` transformed tiles.
std::size_t transformed(bool blocked, std::int64_t point, std::int64_t tile, std::int64_t c, std::int64_t C,
                        std::int64_t tiles) {
  return static_cast<std::size_t>(blocked ? ((point * (C / 8) + c / 8) * tiles + tile) * 8 + c % 8
                                          : (tile * 36 + point) * C + c);
}

double expected(bool blocked, const Case& c, const ConvProblem& conv, const std::vector<float>& x,
                const std::vector<float>& w, const std::vector<double>& scale, const std::vector<float>& shift,
                const std::vector<float>& residual, std::int64_t n, std::int64_t k, std::int64_t p, std::int64_t q) {
  double sum = 0;
  for (std::int64_t r = 0; r < 3; ++r) {
    for (std::int64_t s = 0; s < 3; ++s) {
      const std::int64_t y = p + r - c.pad_top, column = q + s - c.pad_left;
      if (y < 0 || y >= c.H || column < 0 || column >= c.W) continue;
      for (std::int64_t ch = 0; ch < c.C; ++ch) {
        sum += static_cast<double>(x[offset(blocked, n, ch, y, column, c.C, c.H, c.W)]) *
               w[static_cast<std::size_t>(((k * 3 + r) * 3 + s) * c.C + ch)];
      }
    }
  }
  double value = sum * scale[static_cast<std::size_t>(k)] + shift[static_cast<std::size_t>(k)];
  if (c.residual) value += residual[offset(blocked, n, k, p, q, c.K, conv.P, conv.Q)];
  if (c.activation == ActivationKind::relu) value = std::max(value, 0.0);
  if (c.activation == ActivationKind::relu6) value = std::min(std::max(value, 0.0), 6.0);
  if (c.activation == ActivationKind::leaky_relu) value = value < 0 ? 0.1f * value : value;
  return value;
}

class Winograd : public ::testing::TestWithParam<std::tuple<bool, Case>> {};

TEST_P(Winograd, TransformsAroundAPlainProductGiveTheConvolution) {
  if (!detect_cpu().avx2) GTEST_SKIP() << "the transforms are AVX2 code";
  const auto& [blocked, c] = GetParam();
  const ConvProblem conv = conv_of(c);
  const WinogradShape shape = winograd_shape(conv, blocked);
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  const auto x = test::random_values(size(c.N * c.C * c.H * c.W), 1), w = test::random_values(size(c.K * 9 * c.C), 2);
  const auto shift = test::random_values(size(c.K), 3),
             residual = test::random_values(size(c.N * c.K * conv.P * conv.Q), 4);
  std::vector<double> scale(size(c.K));
  for (std::size_t k = 0; k < scale.size(); ++k) scale[k] = 0.5 + 0.01 * static_cast<double>(k);

  std::vector<float> u(size(36 * c.K * c.C));
  transform_weights(c.K, c.C, w.data(), scale.data(), u.data());
  std::vector<float> y = c.residual ? residual : std::vector<float>(residual.size(), std::nanf(""));  // in place
  for (std::int64_t begin = 0; begin < shape.tiles(); begin += 7) {  // several chunks, the last one shorter
    const TileRange range{begin, std::min<std::int64_t>(7, shape.tiles() - begin)};
    std::vector<float> v(size(36 * c.C * range.count), std::nanf("")), m(size(36 * c.K * range.count));
    transform_input(shape, range, x.data(), v.data());
    for (std::int64_t point = 0; point < 36; ++point) {
      for (std::int64_t t = 0; t < range.count; ++t) {
        for (std::int64_t k = 0; k < c.K; ++k) {
          double sum = 0;
          for (std::int64_t ch = 0; ch < c.C; ++ch) {
            sum += static_cast<double>(u[size((point * c.K + k) * c.C + ch)]) *
                   v[transformed(blocked, point, t, ch, c.C, range.count)];
          }
          m[transformed(blocked, point, t, k, c.K, range.count)] = static_cast<float>(sum);
        }
      }
    }
    transform_output(shape, range, m.data(), shift.data(), c.residual ? y.data() : nullptr, y.data());
  }

  double difference = 0, norm = 0;
  for (std::int64_t n = 0; n < c.N; ++n) {
    for (std::int64_t k = 0; k < c.K; ++k) {
      for (std::int64_t p = 0; p < conv.P; ++p) {
        for (std::int64_t q = 0; q < conv.Q; ++q) {
          const double want = expected(blocked, c, conv, x, w, scale, shift, residual, n, k, p, q);
          const double got = y[offset(blocked, n, k, p, q, c.K, conv.P, conv.Q)];
          ASSERT_FALSE(std::isnan(got)) << n << ' ' << k << ' ' << p << ' ' << q;
          difference += (got - want) * (got - want);
          norm += want * want;
        }
      }
    }
  }
  EXPECT_LT(std::sqrt(difference / norm), 2e-6);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Winograd,
    ::testing::Combine(::testing::Bool(),
                       ::testing::Values(Case{1, 8, 8, 8, 8, 1, 1, 1, 1, false, ActivationKind::none},
                                         Case{2, 13, 9, 16, 8, 1, 1, 1, 1, true, ActivationKind::relu},
                                         Case{1, 3, 3, 8, 16, 0, 0, 0, 0, false, ActivationKind::relu6},
                                         Case{1, 7, 7, 24, 8, 1, 1, 1, 1, true, ActivationKind::leaky_relu},
                                         Case{2, 5, 11, 8, 8, 2, 0, 1, 2, false, ActivationKind::relu},
                                         Case{1, 14, 14, 32, 40, 1, 1, 1, 1, true, ActivationKind::none})));

}  // namespace
}  // namespace resnet::cpu
