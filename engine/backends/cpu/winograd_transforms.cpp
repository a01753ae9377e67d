// The three transforms of F(4x4, 3x3). Eight channels lie side by side in nChw8c and in NHWC, so one vector holds one
// position of eight channels and a transform is plain vector arithmetic; nothing is shuffled.
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

/// Floats from one image, block of eight channels and pixel to the next.
struct PictureStrides {
  std::int64_t image, block, pixel;
};
PictureStrides picture_strides(bool blocked, std::int64_t channels, std::int64_t height, std::int64_t width) {
  const std::int64_t pixels = height * width;
  return blocked ? PictureStrides{channels * pixels, pixels * block, block}
                 : PictureStrides{channels * pixels, block, channels};
}

/// Floats from one point, tile and block of eight channels to the next among transformed tiles.
struct TileStrides {
  std::int64_t point, tile, block;
};
TileStrides tile_strides(bool blocked, std::int64_t channels, std::int64_t tiles) {
  return blocked ? TileStrides{channels * tiles, block, tiles * block}
                 : TileStrides{channels, winograd_points * channels, block};
}

/// The 6 x 6 window that starts at (y0, x0) of one channel block; positions outside the picture are zero.
RESNET_AVX2 void load_window(const float* x, std::int64_t pixel, std::int64_t H, std::int64_t W, std::int64_t y0,
                             std::int64_t x0, Vector d[6][6]) {
  if (y0 >= 0 && x0 >= 0 && y0 + winograd_window <= H && x0 + winograd_window <= W) {
    for (std::int64_t r = 0; r < 6; ++r) {
      for (std::int64_t s = 0; s < 6; ++s) d[r][s] = load(x + ((y0 + r) * W + x0 + s) * pixel);
    }
    return;
  }
  for (std::int64_t r = 0; r < 6; ++r) {
    for (std::int64_t s = 0; s < 6; ++s) {
      const std::int64_t y = y0 + r, column = x0 + s;
      const bool inside = y >= 0 && y < H && column >= 0 && column < W;
      d[r][s] = inside ? load(x + (y * W + column) * pixel) : Vector{};
    }
  }
}

__attribute__((target("avx2,fma"))) void transform_input_tile(const ConvProblem& conv, const TilePlace& at,
                                                              const float* x, std::int64_t pixel, float* v,
                                                              std::int64_t point_stride) {
  Vector d[6][6], columns[6][6];  // columns[s]: column s of B^T d
  load_window(x, pixel, conv.H, conv.W, at.y - conv.pad_top, at.x - conv.pad_left, d);
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
    case ActivationKind::relu:
      return v < 0.0f ? Vector{} : v;
    case ActivationKind::relu6: {
      const Vector low = v < 0.0f ? Vector{} : v, six = Vector{} + 6.0f;
      return low > 6.0f ? six : low;
    }
    case ActivationKind::leaky_relu:
      return v < 0.0f ? activation.alpha * v : v;
    default:
      return v;
  }
}

__attribute__((target("avx2,fma"))) void transform_output_tile(const ConvProblem& conv, const TilePlace& at,
                                                               const float* m, std::int64_t point_stride,
                                                               const float* shift, const float* residual, float* y,
                                                               std::int64_t pixel) {
  Vector columns[6][4];  // columns[s]: column s of A^T m
  for (int s = 0; s < 6; ++s) {
    Vector column[6];
    for (int r = 0; r < 6; ++r) column[r] = load(m + (r * 6 + s) * point_stride);
    output_column(column, columns[s]);
  }
  const Vector channel_shift = shift == nullptr ? Vector{} : load(shift);
  const std::int64_t rows = std::min(winograd_tile, conv.P - at.y), width = std::min(winograd_tile, conv.Q - at.x);
  for (std::int64_t r = 0; r < rows; ++r) {
    const Vector row[6] = {columns[0][r], columns[1][r], columns[2][r], columns[3][r], columns[4][r], columns[5][r]};
    Vector out[4];
    output_column(row, out);
    const std::int64_t base = ((at.y + r) * conv.Q + at.x) * pixel;
    for (std::int64_t s = 0; s < width; ++s) {
      Vector value = out[s] + channel_shift;
      if (residual != nullptr) value += load(residual + base + s * pixel);
      store(y + base + s * pixel, activate_vector(conv.epilogue.activation, value));
    }
  }
}

/// Runs work(tile, channel block) for all of them, spread over the team, in the order in which they lie in memory.
template <class Work>
void for_each_tile(const WinogradShape& shape, std::int64_t blocks, std::int64_t tiles, const Work& work) {
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < blocks * tiles; ++i) {
    if (shape.blocked) {
      work(i % tiles, i / tiles);
    } else {
      work(i / blocks, i % blocks);
    }
  }
}

}  // namespace

WinogradShape winograd_shape(const ConvProblem& conv, bool blocked) {
  return {conv, blocked, div_up(conv.P, winograd_tile), div_up(conv.Q, winograd_tile)};
}

bool winograd_activation(const Activation& activation) {
  return activation.kind == ActivationKind::none || activation.kind == ActivationKind::relu ||
         activation.kind == ActivationKind::relu6 || activation.kind == ActivationKind::leaky_relu;
}

void transform_input(const WinogradShape& shape, TileRange range, const float* x, float* v) {
  const ConvProblem& conv = shape.conv;
  const PictureStrides from = picture_strides(shape.blocked, conv.C, conv.H, conv.W);
  const TileStrides to = tile_strides(shape.blocked, conv.C, range.count);
  for_each_tile(shape, conv.C / block, range.count, [&](std::int64_t t, std::int64_t cb) {
    const TilePlace at = place(shape, range.begin + t);
    transform_input_tile(conv, at, x + at.n * from.image + cb * from.block, from.pixel, v + t * to.tile + cb * to.block,
                         to.point);
  });
}

void transform_output(const WinogradShape& shape, TileRange range, const float* m, const float* shift,
                      const float* residual, float* y) {
  const ConvProblem& conv = shape.conv;
  const TileStrides from = tile_strides(shape.blocked, conv.K, range.count);
  const PictureStrides to = picture_strides(shape.blocked, conv.K, conv.P, conv.Q);
  for_each_tile(shape, conv.K / block, range.count, [&](std::int64_t t, std::int64_t kb) {
    const TilePlace at = place(shape, range.begin + t);
    const std::int64_t picture = at.n * to.image + kb * to.block;
    transform_output_tile(conv, at, m + t * from.tile + kb * from.block, from.point,
                          shift == nullptr ? nullptr : shift + kb * block,
                          residual == nullptr ? nullptr : residual + picture, y + picture, to.pixel);
  });
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
