#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/cuda_api.hpp"
#include "kernels/device_buffer.hpp"
#include "kernels/kernel_run.hpp"
#include "kernels/launch_recorder.hpp"
#include "kernels/samples.hpp"

/// Sizes at which an index leaves 32 bits: refused, or launched over a grid that a GPU takes.
namespace resnet::test {
namespace {

constexpr std::int64_t two_31 = std::int64_t{1} << 31;

std::vector<ProblemCase> huge_problems() {
  std::vector<ProblemCase> cases;
  const auto conv = [&](const char* name, const ConvShape& shape) { cases.push_back({name, make_conv(shape)}); };
  conv("conv_many_images", {.N = 1 << 17, .H = 16, .W = 16, .C = 64, .K = 64});
  conv("conv_many_images_3x3", {.N = 40000, .H = 32, .W = 32, .C = 64, .K = 64, .R = 3, .S = 3, .pads = {1, 1, 1, 1}});
  conv("conv_tall", {.H = two_31 / 64 + 8, .W = 8, .C = 8, .K = 8});
  conv("conv_output_larger_than_input", {.N = 1 << 15, .H = 64, .W = 64, .C = 8, .K = 32});
  conv("conv_many_filters", {.H = 1, .W = 1, .C = 1 << 16, .K = 1 << 16});
  conv("conv_depthwise",
       {.N = 1 << 17, .H = 16, .W = 16, .C = 72, .K = 72, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 72});
  conv("conv_positions_beyond_32_bits", {.N = 1 << 17, .H = 256, .W = 256, .C = 1, .K = 1});
  conv("conv_stem", {.N = 40000,
                     .H = 224,
                     .W = 224,
                     .C = 3,
                     .K = 64,
                     .R = 7,
                     .S = 7,
                     .stride_h = 2,
                     .stride_w = 2,
                     .pads = {3, 3, 3, 3}});
  // More than 2^31 tiles.
  conv("conv_many_tiles", {.N = 1 << 21, .H = 128, .W = 128, .C = 8, .K = 1024});
  conv("conv_many_tiles_in_groups",
       {.N = 1 << 21, .H = 128, .W = 128, .C = 1024, .K = 1024, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 64});
  conv("conv_many_tiles_depthwise",
       {.N = 1 << 23, .H = 128, .W = 128, .C = 1024, .K = 1024, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 1024});
  for (const auto& [N, C, K] :
       {std::array<std::int64_t, 3>{1 << 21, 2048, 1000}, {16, 1 << 16, 1 << 16}, {std::int64_t{1} << 38, 8, 64}}) {
    DenseProblem p;
    p.N = N, p.C = C, p.K = K;
    cases.push_back({"dense_" + std::to_string(N), p});
  }
  PoolProblem pool;
  pool.N = 1 << 14, pool.H = pool.W = 112, pool.C = 64, pool.R = pool.S = 3, pool.stride_h = pool.stride_w = 2;
  pool.P = pool.Q = 56, pool.pad_top = pool.pad_left = pool.pad_bottom = pool.pad_right = 1;
  cases.push_back({"max_pool", pool});
  cases.push_back({"adaptive_pool", AdaptivePoolProblem{1 << 16, 7, 7, 2048, 1, 1}});
  PoolDenseProblem both;
  both.N = 1 << 16, both.H = both.W = 7, both.C = 2048, both.K = 1000;
  cases.push_back({"pool_and_dense", both});
  PointwiseProblem pointwise;
  pointwise.N = 1 << 10, pointwise.positions_per_image = 1 << 16, pointwise.C = 65;
  cases.push_back({"copy", pointwise});
  pointwise.kind = PointwiseKind::multiply_channels, pointwise.epilogue.scale = true;
  cases.push_back({"multiply_channels", pointwise});
  PadProblem pad;
  pad.N = 1 << 16, pad.H = pad.W = 112, pad.C = 3, pad.pad_top = pad.pad_left = pad.pad_bottom = pad.pad_right = 3;
  cases.push_back({"pad", pad});
  cases.push_back({"softmax", SoftmaxProblem{1 << 22, 1000}});
  cases.push_back({"top_k", TopKProblem{1 << 22, 1000, 5}});
  ConvertProblem convert;
  convert.in.dims = convert.out.dims = {1 << 15, 224, 224, 3};
  convert.in.dtype = DType::u8, convert.out.c_padded = 8, convert.scale_shift = true;
  cases.push_back({"convert", convert});
  return cases;
}

/// As if it had so many multiprocessors that no kernel's blocks come round: every thread has at most one item.
DeviceInfo without_rounds(DeviceInfo device) {
  device.multiprocessors = 1 << 26;
  return device;
}

/// A grid that a GPU takes.
void expect_legal(const std::vector<RecordedLaunch>& launches) {
  EXPECT_FALSE(launches.empty());
  for (const auto& [name, config] : launches) {
    const dim3 grid = config.gridDim, block = config.blockDim;
    EXPECT_TRUE(grid.x >= 1 && grid.x < two_31 && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535)
        << name << ": a grid of " << grid.x << " x " << grid.y << " x " << grid.z;
    EXPECT_TRUE(block.x >= 32 && block.x <= 1024 && block.y == 1 && block.z == 1);
  }
}

/// One that covers the outputs without rounds, with at most 2048 of them per thread.
void expect_enough_threads(const std::vector<RecordedLaunch>& launches, std::int64_t outputs) {
  double threads = 0;
  for (const auto& [name, config] : launches) {
    const dim3 grid = config.gridDim;
    threads += static_cast<double>(grid.x) * grid.y * grid.z * config.blockDim.x;
  }
  EXPECT_GE(threads * 2048, static_cast<double>(outputs)) << "a count was cut off";
}

using HugeSizes = testing::TestWithParam<const kernels::Kernel*>;

TEST_P(HugeSizes, AreRefusedOrLaunchedOverALegalGrid) {
  const kernels::Kernel& kernel = *GetParam();
  for (const ProblemCase& c : huge_problems()) {
    for (const Types& types : types_for(c.problem)) {
      const kernels::Problem problem = with_types(c.problem, types);
      const DeviceInfo& device = devices().front();
      SCOPED_TRACE(std::string(kernel.name) + ": " + kernels::to_string(problem));
      if (const Support support = kernel.supports(problem, device); !support) {
        EXPECT_FALSE(support.reason.empty());
        continue;
      }
      const double us = kernel.estimate_us(problem, device);
      EXPECT_TRUE(std::isfinite(us) && us > 0) << us;
      EXPECT_LT(kernel.workspace_bytes(problem, device), std::size_t{1} << 40);
      expect_legal(record_launches(kernel, problem, device));
      const auto launches = record_launches(kernel, problem, without_rounds(device));
      expect_legal(launches);
      expect_enough_threads(launches, operand_sizes(problem).y);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Catalog, HugeSizes, testing::ValuesIn(tested_kernels()), KernelName());

TEST(HugeSizesOnAGpu, ReachTheLastElement) {
  if (is_emulator()) GTEST_SKIP() << "needs 9 GB of device memory";
  PointwiseProblem p;
  p.N = 1, p.positions_per_image = two_31 / 64 + 5, p.C = 65, p.in = p.out = DType::bf16;
  const auto bytes = static_cast<std::size_t>(p.positions_per_image * p.C * 2);
  if (devices().front().memory_bytes < 5 * bytes) GTEST_SKIP() << "needs " << 5 * bytes << " bytes";
  for (const kernels::Kernel* kernel : tested_kernels()) {
    if (!kernel->supports(p, devices().front())) continue;
    DeviceBuffer x("x", bytes), y("y", bytes);
    x.fill(0x3f);
    y.fill(0xff);
    kernels::Operands operands;
    operands.x = x.data(), operands.y = y.data();
    ASSERT_EQ(kernel->launch(p, operands, {nullptr, &devices().front()}), cudaSuccess) << kernel->name;
    ASSERT_EQ(cuda_api().cudaDeviceSynchronize(), cudaSuccess);
    const std::vector<std::byte> result = y.download();
    EXPECT_TRUE(std::all_of(result.begin(), result.end(), [](std::byte b) { return b == std::byte{0x3f}; }))
        << kernel->name;
    EXPECT_EQ(y.check(), "") << kernel->name;
  }
}

}  // namespace
}  // namespace resnet::test
