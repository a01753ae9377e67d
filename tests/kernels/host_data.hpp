#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/kernel.hpp"

namespace resnet::test {

/// What a kernel is believed by. All three are always run: each catches bugs that the others miss.
enum class DataKind : std::uint8_t {
  signed_integers,    ///< x is position-coded, weights are random: wrong indices. Bit-equal
  positive_integers,  ///< large sums: accumulators, stores, double rounding. Bit-equal after one rounding
  real,               ///< judged against the error of one perfect rounding
};
std::string_view to_string(DataKind kind);

/// Whether integers stay exact: no exponential in it.
bool takes_integers(const kernels::Problem& problem);

/// Sizes of a problem's operands in elements, 0 where it has none.
struct OperandSizes {
  std::int64_t x = 0, second = 0, weight = 0, scale = 0, shift = 0, y = 0, indices = 0;
  DType x_type = DType::f32, second_type = DType::f32, y_type = DType::f32;
  Dims y_dims;  ///< as it lies in memory: pad channels count, NCHW as it is
};
OperandSizes operand_sizes(const kernels::Problem& problem);

/// Operands as floats that the problem's types hold exactly. x and second lie as in device memory.
struct HostData {
  std::vector<float> x, second, weight, scale, shift;
};
HostData make_data(const kernels::Problem& problem, DataKind kind, std::uint64_t seed);

/// x and the weights as a tf32 matrix unit sees them.
HostData with_tf32_operands(HostData data);

/// Products that one output sums up; 1 where there is no sum of products.
std::int64_t sum_length(const kernels::Problem& problem);
/// The epilogue, or null.
const EpilogueProblem* epilogue_of(const kernels::Problem& problem);

}  // namespace resnet::test
