#pragma once

#include <cstdint>

#include "base/problem.hpp"

namespace resnet::cpu {

/// Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, arXiv 1509.09308, interpolation points 0, 1, -1, 2, -2 and
/// infinity): 36 multiplications where the direct form takes 144. Tiles of 4 x 4 outputs read 6 x 6 inputs.
inline constexpr std::int64_t winograd_tile = 4, winograd_window = 6, winograd_points = 36;

/// Which tiles of an image batch a chunk covers. Tiles are counted row by row, image by image.
struct TileRange {
  std::int64_t begin = 0, count = 0;
};

/// What the transforms need of a convolution: its sizes with C and K multiples of 8, and the layout of all tensors:
/// nChw8c with transformed tiles [36][C/8][tiles][8], or NHWC with transformed tiles [tiles][36][C].
struct WinogradShape {
  ConvProblem conv;
  bool blocked = false;  ///< nChw8c
  std::int64_t tiles_h = 0, tiles_w = 0;
  std::int64_t tiles() const { return conv.N * tiles_h * tiles_w; }
};
WinogradShape winograd_shape(const ConvProblem& conv, bool blocked);

/// Transforms the windows of `range` into v, on the calling thread's OpenMP team.
void transform_input(const WinogradShape& shape, TileRange range, const float* x, float* v);

/// Transforms products m (as v, with K channels) back, adds `shift` per channel and `residual` (same place as the
/// output; may be null, may be `y` itself), applies the activation and writes the tiles of `range` into y.
void transform_output(const WinogradShape& shape, TileRange range, const float* m, const float* shift,
                      const float* residual, float* y);

/// Activations that transform_output computes.
bool winograd_activation(const Activation& activation);

/// u [36][K][C] of weights w [K][3][3][C], each output channel multiplied by scale[k] (empty: 1). Computed in double.
void transform_weights(std::int64_t K, std::int64_t C, const float* w, const double* scale, float* u);

}  // namespace resnet::cpu
