#include "infer/saved_arrays.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

namespace resnet::tools {
namespace {

TEST(NchwValues, TurnsChannelsLastIntoChannelsFirst) {
  const std::vector<float> nhwc{0, 10, 1, 11, 2, 12};  // 1 x 1 x 3 x 2
  const auto values = nchw_values({nhwc.data(), 1, 1, 3, 2, DType::f32, Layout::nhwc, MemoryKind::host});
  EXPECT_EQ(values, (std::vector<float>{0, 1, 2, 10, 11, 12}));
}

TEST(NchwValues, LeavesChannelsFirstAsTheyAre) {
  const std::vector<float> nchw{0, 1, 2, 3, 4, 5, 6, 7};  // 2 x 2 x 1 x 2 (N C H W)
  EXPECT_EQ(nchw_values({nchw.data(), 2, 1, 2, 2, DType::f32, Layout::nchw, MemoryKind::host}), nchw);
}

TEST(NchwValues, WidensBfloat16Exactly) {
  const std::vector<std::uint16_t> bits{0x3F80, 0xC040, 0x0001};
  const auto values = nchw_values({bits.data(), 1, 1, 1, 3, DType::bf16, Layout::nhwc, MemoryKind::host});
  EXPECT_EQ(values, (std::vector<float>{1, -3, std::ldexp(1.0f, -133)}));
}

TEST(NchwValues, WidensHalfExactlyWithDenormalsAndInfinities) {
  const std::vector<std::uint16_t> bits{0x3C00, 0xC200, 0x0001, 0x8400, 0x7BFF, 0x7C00, 0x7E00};
  const auto values = nchw_values({bits.data(), 1, 1, 1, 7, DType::f16, Layout::nhwc, MemoryKind::host});
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[1], -3);
  EXPECT_EQ(values[2], std::ldexp(1.0f, -24));
  EXPECT_EQ(values[3], -std::ldexp(1.0f, -14));
  EXPECT_EQ(values[4], 65504);
  EXPECT_TRUE(std::isinf(values[5]));
  EXPECT_TRUE(std::isnan(values[6]));
}

TEST(NchwValues, RefusesDeviceMemoryAndIntegers) {
  const float value = 0;
  EXPECT_THROW(nchw_values({&value, 1, 1, 1, 1, DType::f32, Layout::nhwc, MemoryKind::device}), Error);
  EXPECT_THROW(nchw_values({&value, 1, 1, 1, 1, DType::i8, Layout::nhwc, MemoryKind::host}), Error);
}

}  // namespace
}  // namespace resnet::tools
