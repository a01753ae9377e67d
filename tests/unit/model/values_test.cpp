#include "model/values.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "base/dtype.hpp"

namespace resnet {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN(),
                denormal = 1e-40F;

std::vector<std::uint16_t> all_halves() {
  std::vector<std::uint16_t> bits(65'536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  return bits;
}

TEST(Values, FindTheFirstNanOrInfinityWhereverItStands) {
  for (const float bad : {nan, -nan, inf, -inf}) {
    for (const std::size_t at : {0u, 1u, 7u, 8u, 63u, 64u, 99u}) {
      std::vector<float> values(100, 1.5F);
      values[at] = bad;
      values[99] = nan;
      EXPECT_EQ(check_f32(values, true), at);
    }
  }
  std::vector<float> fine(100, std::numeric_limits<float>::max());
  EXPECT_EQ(check_f32(fine, true), 100u);
}

TEST(Values, FlushDenormalsToZerosOfTheirSignOnlyWhereAsked) {
  std::vector<float> values(33, denormal);
  values[1] = -denormal;
  values[2] = std::numeric_limits<float>::min();
  std::vector<float> kept = values;
  EXPECT_EQ(check_f32(kept, false), kept.size());
  EXPECT_EQ(kept, values);
  EXPECT_EQ(check_f32(values, true), values.size());
  EXPECT_EQ(std::bit_cast<std::uint32_t>(values[0]), 0u);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(values[1]), 0x80000000u);
  EXPECT_EQ(values[2], std::numeric_limits<float>::min());
}

TEST(Values, ConvertEveryHalfExactly) {
  const std::vector<std::uint16_t> bits = all_halves();
  std::vector<float> f16(bits.size()), bf16(bits.size());
  EXPECT_EQ(convert_f16(bits, f16.data()), 0x7C00u) << "the first infinity";
  EXPECT_EQ(convert_bf16(bits, bf16.data(), false), 0x7F80u);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const float half = f16_to_f32(bits[i]);
    if (std::isnan(half)) {
      EXPECT_TRUE(std::isnan(f16[i])) << i;
    } else {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(f16[i]), std::bit_cast<std::uint32_t>(half)) << i;
    }
    EXPECT_EQ(std::bit_cast<std::uint32_t>(bf16[i]), static_cast<std::uint32_t>(i) << 16);
  }
  convert_bf16(bits, bf16.data(), true);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(bf16[0x807F]), 0x80000000u);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(bf16[0x0080]), 0x00800000u);
}

TEST(Values, PortableAndBestLoopsAgree) {
  const ValueLoops portable = portable_value_loops(), best = best_value_loops();
  const std::vector<std::uint16_t> bits = all_halves();
  for (const std::size_t count : {0u, 1u, 7u, 8u, 9u, 1000u, 0x7C00u, 0x7C01u}) {
    const auto some = std::span(bits).first(count);
    std::vector<float> a(count), b(count);
    EXPECT_EQ(portable.convert_f16(some, a.data()), best.convert_f16(some, b.data())) << count;
    EXPECT_EQ(a, b) << count;
    EXPECT_EQ(portable.convert_bf16(some, a.data(), true), best.convert_bf16(some, b.data(), true)) << count;
    EXPECT_EQ(a, b) << count;
    EXPECT_EQ(portable.check_f32(a, true), best.check_f32(b, true)) << count;
    EXPECT_EQ(a, b) << count;
  }
}

}  // namespace
}  // namespace resnet
