#include "kernels/weight_packs.hpp"

#include <bit>
#include <cstring>

namespace resnet::kernels {
namespace {

struct Filter {
  std::int64_t elements;
  DType type;
};

Filter filter_of(const Problem& problem) {
  if (const auto* conv = std::get_if<ConvProblem>(&problem))
    return {conv->K * conv->R * conv->S * (conv->C / conv->groups), conv->in};
  if (const auto* dense = std::get_if<DenseProblem>(&problem)) return {dense->K * dense->C, dense->in};
  if (const auto* pooled = std::get_if<PoolDenseProblem>(&problem)) return {pooled->K * pooled->C, pooled->in};
  return {0, DType::f32};
}

}  // namespace

std::size_t plain_bytes(const Problem& problem) {
  const Filter filter = filter_of(problem);
  return static_cast<std::size_t>(filter.elements) * size_of(filter.type);
}

void pack_plain(const Problem& problem, std::span<const float> values, std::byte* out) {
  const DType type = filter_of(problem).type;
  if (type == DType::f32) {
    std::memcpy(out, values.data(), values.size_bytes());
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = type == DType::f16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
    std::memcpy(out + 2 * i, &bits, 2);
  }
}

void pack_mma_weights(const Problem& problem, std::span<const float> values, std::byte* out) {
  if (filter_of(problem).type != DType::f32) return pack_plain(problem, values, out);
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto bits = std::bit_cast<std::uint32_t>(values[i]);
    // To nearest, ties away from zero; infinities and NaN keep their bits.
    if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0x1000u) & 0xffffe000u;
    std::memcpy(out + 4 * i, &bits, 4);
  }
}

}  // namespace resnet::kernels
