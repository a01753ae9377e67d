#pragma once

#include "kernels/device/compiler.hpp"

namespace resnet::dev {

/// Where the 16-byte chunk `chunk` of row `row` lies in a tile of rows of `row_bytes` (32, 64 or 128), in bytes from
/// the tile's start, which is aligned to 8 rows. Eight consecutive rows of one chunk fall into different banks, so
/// ldmatrix and row-wise stores are free of conflicts. The pattern is the hardware's own (128-, 64- and 32-byte
/// swizzle).
template <int row_bytes>
RESNET_HOST_DEVICE constexpr unsigned swizzled(unsigned row, unsigned chunk) {
  static_assert(row_bytes == 32 || row_bytes == 64 || row_bytes == 128);
  constexpr unsigned chunks = row_bytes / 16;
  constexpr unsigned rows_per_line = 128 / row_bytes;
  return row * row_bytes + ((chunk ^ ((row / rows_per_line) % chunks)) * 16);
}

}  // namespace resnet::dev
