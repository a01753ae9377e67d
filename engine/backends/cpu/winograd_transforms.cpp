// The three transforms of F(4x4, 3x3). Eight channels lie side by side in nChw8c, so one vector holds one position of
// eight channels and a transform is plain vector arithmetic; nothing is shuffled.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "backends/cpu/winograd.hpp"
#include "base/checked.hpp"

#define RESNET_AVX2 __attribute__((target("avx2,fma"), always_inline)) inline

namespace resnet::cpu {
namespace {

constexpr std::int64_t block = 8;
using Vector = float __attribute__((vector_size(32)));

RESNET_AVX2 Vector load(const float* p) {
  Vector v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
RESNET_AVX2 void store(float* p, Vector v) { std::memcpy(p, &v, sizeof v); }

/// One column of B^T d: six inputs to six points.
RESNET_AVX2 void input_column(const Vector d[6], Vector t[6]) {
  const Vector a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1];
  const Vector c = d[4] - d[2], e = 2.0f * (d[3] - d[1]);
  t[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  t[1] = a + b;
  t[2] = a - b;
  t[3] = c + e;
  t[4] = c - e;
  t[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

/// One column of A^T m: six points to four outputs.
RESNET_AVX2 void output_column(const Vector m[6], Vector t[4]) {
  const Vector a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
  t[0] = m[0] + a + c;
  t[1] = b + 2.0f * d;
  t[2] = a + 4.0f * c;
  t[3] = b + 8.0f * d + m[5];
}

struct TilePlace {
  std::int64_t n, y, x;  ///< image, first output row and column
};
TilePlace place(const WinogradShape& shape, std::int64_t tile) {
  const std::int64_t per_image = shape.tiles_h * shape.tiles_w, in_image = tile % per_image;
  return {tile / per_image, in_image / shape.tiles_w * winograd_tile, in_image % shape.tiles_w * winograd_tile};
}

/// The 6 x 6 window that starts at (y0, x0) of one channel block; positions outside the picture are zero.
RESNET_AVX2 void load_window(const float* x, std::int64_t H, std::int64_t W, std::int64_t y0, std::int64_t x0,
                             Vector d[6][6]) {
  if (y0 >= 0 && x0 >= 0 && y0 + winograd_window <= H && x0 + winograd_window <= W) {
    for (std::int64_t r = 0; r < 6; ++r) {
      for (std::int64_t s = 0; s < 6; ++s) d[r][s] = load(x + ((y0 + r) * W + x0 + s) * block);
    }
    return;
  }
  for (std::int64_t r = 0; r < 6; ++r) {
    for (std::int64_t s = 0; s < 6; ++s) {
      const std::int64_t y = y0 + r, column = x0 + s;
      const bool inside = y >= 0 && y < H && column >= 0 && column < W;
      d[r][s] = inside ? load(x + (y * W + column) * block) : Vector{};
    }
  }
}

__attribute__((target("avx2,fma"))) void transform_input_tile(const WinogradShape& shape, std::int64_t tile, std::int64_t cb,
                                                              const float* x, float* v, std::int64_t point_stride) {
  const ConvProblem& conv = shape.conv;
  const TilePlace at = place(shape, tile);
  const float* plane = x + (at.n * (conv.C / block) + cb) * conv.H * conv.W * block;
  Vector d[6][6], columns[6][6];  // columns[s]: column s of B^T d
  load_window(plane, conv.H, conv.W, at.y - conv.pad_top, at.x - conv.pad_left, d);
  for (int s = 0; s < 6; ++s) {
    const Vector column[6] = {d[0][s], d[1][s], d[2][s], d[3][s], d[4][s], d[5][s]};
    input_column(column, columns[s]);
  }
  for (int r = 0; r < 6; ++r) {
    const Vector row[6] = {columns[0][r], columns[1][r], columns[2][r], columns[3][r], columns[4][r], columns[5][r]};
    Vector out[6];
    input_column(row, out);
    for (int s = 0; s < 6; ++s) store(v + (r * 6 + s) * point_stride, out[s]);
  }
}

RESNET_AVX2 Vector activate_vector(const Activation& activation, Vector v) {
  // Comparisons are written so that NaN stays NaN.
  switch (activation.kind) {
    case ActivationKind::relu: return v < 0.0f ? Vector{} : v;
    case ActivationKind::relu6: {
      const Vector low = v < 0.0f ? Vector{} : v, six = Vector{} + 6.0f;
      return low > 6.0f ? six : low;
    }
    case ActivationKind::leaky_relu: return v < 0.0f ? activation.alpha * v : v;
    default: return v;
  }
}

__attribute__((target("avx2,fma"))) void transform_output_tile(const WinogradShape& shape, std::int64_t tile, std::int64_t kb,
                                                               const float* m, std::int64_t point_stride, const float* shift,
                                                               const float* residual, float* y) {
  const ConvProblem& conv = shape.conv;
  const TilePlace at = place(shape, tile);
  Vector columns[6][4];  // columns[s]: column s of A^T m
  for (int s = 0; s < 6; ++s) {
    Vector column[6];
    for (int r = 0; r < 6; ++r) column[r] = load(m + (r * 6 + s) * point_stride);
    output_column(column, columns[s]);
  }
  const Vector channel_shift = shift == nullptr ? Vector{} : load(shift + kb * block);
  const std::int64_t plane = (at.n * (conv.K / block) + kb) * conv.P * conv.Q;
  const std::int64_t rows = std::min(winograd_tile, conv.P - at.y), width = std::min(winograd_tile, conv.Q - at.x);
  for (std::int64_t r = 0; r < rows; ++r) {
    const Vector row[6] = {columns[0][r], columns[1][r], columns[2][r], columns[3][r], columns[4][r], columns[5][r]};
    Vector out[4];
    output_column(row, out);
    const std::int64_t base = (plane + (at.y + r) * conv.Q + at.x) * block;
    for (std::int64_t s = 0; s < width; ++s) {
      Vector value = out[s] + channel_shift;
      if (residual != nullptr) value += load(residual + base + s * block);
      store(y + base + s * block, activate_vector(conv.epilogue.activation, value));
    }
  }
}

}  // namespace

WinogradShape winograd_shape(const ConvProblem& conv) {
  return {conv, div_up(conv.P, winograd_tile), div_up(conv.Q, winograd_tile)};
}

bool winograd_activation(const Activation& activation) {
  return activation.kind == ActivationKind::none || activation.kind == ActivationKind::relu ||
         activation.kind == ActivationKind::relu6 || activation.kind == ActivationKind::leaky_relu;
}

void transform_input(const WinogradShape& shape, TileRange range, const float* x, float* v) {
  const std::int64_t blocks = shape.conv.C / block, point_stride = blocks * range.count * block;
#pragma omp parallel for collapse(2) schedule(static)
  for (std::int64_t cb = 0; cb < blocks; ++cb) {
    for (std::int64_t t = 0; t < range.count; ++t) {
      transform_input_tile(shape, range.begin + t, cb, x, v + (cb * range.count + t) * block, point_stride);
    }
  }
}

void transform_output(const WinogradShape& shape, TileRange range, const float* m, const float* shift, const float* residual,
                      float* y) {
  const std::int64_t blocks = shape.conv.K / block, point_stride = blocks * range.count * block;
#pragma omp parallel for collapse(2) schedule(static)
  for (std::int64_t kb = 0; kb < blocks; ++kb) {
    for (std::int64_t t = 0; t < range.count; ++t) {
      transform_output_tile(shape, range.begin + t, kb, m + (kb * range.count + t) * block, point_stride, shift, residual, y);
    }
  }
}

void transform_weights(std::int64_t K, std::int64_t C, const float* w, const double* scale, float* u) {
  constexpr double G[6][3] = {{1.0 / 4, 0, 0},
                              {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                              {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                              {1.0 / 24, 1.0 / 12, 1.0 / 6},
                              {1.0 / 24, -1.0 / 12, 1.0 / 6},
                              {0, 0, 1}};
  const auto channels = static_cast<std::size_t>(C);
  std::vector<double> half(18 * channels);  // G g, six rows of three columns
  for (std::int64_t k = 0; k < K; ++k) {
    const float* g = w + k * 9 * C;
    const double factor = scale == nullptr ? 1.0 : scale[k];
    for (std::size_t r = 0; r < 6; ++r) {
      for (std::size_t s = 0; s < 3; ++s) {
        double* out = half.data() + (r * 3 + s) * channels;
        const float *g0 = g + s * channels, *g1 = g + (3 + s) * channels, *g2 = g + (6 + s) * channels;
        const double a = G[r][0] * factor, b = G[r][1] * factor, c = G[r][2] * factor;
        for (std::size_t i = 0; i < channels; ++i) out[i] = a * g0[i] + b * g1[i] + c * g2[i];
      }
    }
    for (std::size_t r = 0; r < 6; ++r) {
      const double *h0 = half.data() + r * 3 * channels, *h1 = h0 + channels, *h2 = h1 + channels;
      for (std::size_t s = 0; s < 6; ++s) {
        float* out = u + ((static_cast<std::int64_t>(r * 6 + s)) * K + k) * C;
        for (std::size_t i = 0; i < channels; ++i) {
          out[i] = static_cast<float>(G[s][0] * h0[i] + G[s][1] * h1[i] + G[s][2] * h2[i]);
        }
      }
    }
  }
}

}  // namespace resnet::cpu
