#pragma once

#include <cstdint>

#include "kernels/sim/thread_api.hpp"

namespace resnet::sim {

/// One warp's mma: c[lane] etc. are the lanes' registers, [rows][columns][4], [rows][4] and [columns][2].
struct WarpMma {
  static constexpr int max_columns = 32;
  MmaType type;
  int rows, columns;
  void* c[32];
  const std::uint32_t* a[32];
  const std::uint32_t* b[32];
  bool truncate;  ///< sums lose bits below those of the largest term
};
void multiply(const WarpMma& mma);

/// Switches the vector unit off (false) for comparisons; true takes what the processor has.
void use_vector_unit(bool use);

}  // namespace resnet::sim
