#include "base/checked.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "base/aligned_buffer.hpp"
#include "base/device_info.hpp"
#include "base/parallel.hpp"

namespace resnet {
namespace {

TEST(Checked, OverflowIsAnErrorThatNamesWhatItWas) {
  EXPECT_EQ(checked_mul<std::int64_t>(1 << 20, 1 << 20, "x"), std::int64_t{1} << 40);
  try {
    checked_mul<std::int64_t>(std::int64_t{1} << 42, std::int64_t{1} << 42, "tensor w");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::overflow);
    EXPECT_EQ(error.where(), "tensor w");
  }
  EXPECT_THROW(checked_add<std::int64_t>(INT64_MAX, 1, "x"), Error);
  EXPECT_THROW((checked_align<std::uint64_t>(UINT64_MAX - 3, 64, "x")), Error);
  EXPECT_EQ((checked_align<std::uint64_t>(65, 64, "x")), 128u);
}

TEST(AlignedBuffer, IsAlignedAndRefusesWhatCannotBe) {
  for (const std::size_t bytes : {1ul, 63ul, 64ul, 100'000ul, 5'000'000ul}) {
    AlignedBuffer buffer(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u);
    buffer.data()[bytes - 1] = std::byte{1};
  }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_THROW(AlignedBuffer(std::size_t{1} << 60), Error);
#endif
}

TEST(ParallelFor, RunsEveryTaskOnceAndRethrows) {
  std::vector<std::atomic<int>> counts(1000);
  parallel_for(counts.size(), 4, [&](std::size_t i) { counts[i]++; });
  for (const auto& count : counts) EXPECT_EQ(count, 1);
  EXPECT_THROW(parallel_for(100, 4,
                            [](std::size_t i) {
                              if (i == 50) throw std::runtime_error("x");
                            }),
               std::runtime_error);
}

TEST(DeviceInfo, SeesAtLeastOneCore) {
  const DeviceInfo cpu = detect_cpu();
  EXPECT_GE(cpu.cores, 1);
  EXPECT_FALSE(cpu.name.empty());
}

}  // namespace
}  // namespace resnet
