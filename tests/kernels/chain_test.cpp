#include "kernels/chain.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <vector>

#include "kernels/numbers.hpp"

/// Kernels one after the other: residual blocks and whole networks.
namespace resnet::test {
namespace {

using enum DType;

constexpr Types all_types[] = {{f32, f32, Precision::fp32},
                               {f32, f32, Precision::tf32},
                               {f16, f16, Precision::fp16},
                               {bf16, bf16, Precision::bf16}};

#ifdef NDEBUG
constexpr bool is_optimised = true;
#else
constexpr bool is_optimised = false;
#endif

std::string used(const Chain::Run& run) {
  std::string text;
  for (const std::string& kernel : run.kernels) text += " " + kernel;
  return text;
}

double norm_of_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

double norm(const std::vector<double>& a) { return norm_of_difference(a, std::vector<double>(a.size(), 0.0)); }

Chain::Run run(const Chain& chain, const KernelChoice& choose, int number = 0) {
  use_schedule(number, false);
  Chain::Run result = chain.run(devices().front(), choose);
  for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
  return result;
}

struct Block {
  const char* network;
  const char* block;
};

using Blocks = testing::TestWithParam<Block>;

/// tf32 may be computed in fp32; in a chain that mixes both, no single reference holds.
std::vector<std::vector<double>> references(const std::vector<FusedStep>& steps, const Types& types,
                                            const Chain& chain) {
  std::vector<std::vector<double>> all{chain.exact(true)};
  if (types.precision == Precision::tf32) all.push_back(Chain(steps, all_types[0], true, options().seed).exact(true));
  return all;
}

TEST_P(Blocks, OfIntegersAreExactToTheLastBit) {
  const std::vector<FusedStep> steps = block_of(GetParam().network, GetParam().block, 2, 32);
  for (const Types& types : all_types) {
    const Chain chain(steps, types, true, options().seed);
    const std::vector<std::vector<double>> expected = references(steps, types, chain);
    int number = 0;
    for (const KernelChoice& choose : {selected(), preferring("direct"), preferring("mma")}) {
      const Chain::Run result = run(chain, choose, number++);
      SCOPED_TRACE(to_string(types) + " through" + used(result));
      const auto unit = std::count_if(result.kernels.begin(), result.kernels.end(),
                                      [](const std::string& name) { return name.find("mma") != std::string::npos; });
      if (types.precision == Precision::tf32 && unit != 0 && unit != std::ssize(steps)) continue;
      const std::vector<double>& right = expected[types.precision == Precision::tf32 && unit == 0 ? 1 : 0];
      ASSERT_EQ(result.y.size(), right.size());
      for (std::size_t i = 0; i < right.size(); ++i)
        ASSERT_EQ(static_cast<double>(result.y[i]), right[i]) << "element " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, Blocks,
                         testing::Values(Block{"resnet18", "layer1.0"}, Block{"resnet18", "layer2.0"},
                                         Block{"resnet50", "layer1.0"}, Block{"resnet50", "layer2.0"},
                                         Block{"resnet50", "layer1.1"}, Block{"resnext50_32x4d", "layer2.0"}),
                         [](const auto& own) {
                           std::string name = std::string(own.param.network) + "_" + own.param.block;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

/// 16-bit and tf32 networks err as much as one whose kernels are perfect, fp32 ones hardly at all.
void expect_accurate(const Chain& chain, const Types& types, const std::vector<float>& got) {
  const std::vector<double> exact = chain.exact(false);
  const std::vector<double> result(got.begin(), got.end());
  ASSERT_EQ(result.size(), exact.size());
  const double error = norm_of_difference(result, exact);
  if (types == all_types[0]) {
    EXPECT_LE(error, 1e-5 * norm(exact)) << "relative L2 error " << error / norm(exact);
  } else {
    const double best = norm_of_difference(chain.exact(true), exact);
    EXPECT_LE(error, 1.2 * best) << "errs " << error / best << " times as much as perfect kernels would ("
                                 << best / norm(exact) << " of the result)";
  }
}

struct Network {
  const char* name;
  std::int64_t size;
  std::vector<Types> types;
};

using SmallNetworks = testing::TestWithParam<Network>;

TEST_P(SmallNetworks, AreAsAccurateAsTheirTypesAllow) {
  if (has_access_hooks()) GTEST_SKIP() << "the blocks say the same in less time";
  for (const Types& types : GetParam().types) {
    const Chain chain(fused_network(GetParam().name, 1, GetParam().size), types, false, options().seed);
    const Chain::Run first = run(chain, selected(), 0);
    SCOPED_TRACE(to_string(types) + " through" + used(first));
    expect_accurate(chain, types, first.y);
    if (types.precision == Precision::bf16) {
      EXPECT_EQ(run(chain, selected(), 1).y, first.y) << "the schedule shows in the result";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, SmallNetworks,
                         testing::Values(Network{"resnet18", 32, {std::begin(all_types), std::end(all_types)}},
                                         Network{"resnet18", 47, {all_types[3]}},
                                         Network{"resnet50", 32, {all_types[1], all_types[2], all_types[3]}},
                                         Network{"resnext50_32x4d", 32, {all_types[3]}}),
                         [](const auto& own) {
                           return std::string(own.param.name) + "_at_" + std::to_string(own.param.size);
                         });

TEST(WholeNetwork, ResNet18RunsThroughTensorCoreKernels) {
  if (has_access_hooks()) GTEST_SKIP() << "for the emulator without hooks and for GPUs";
  const Types types{bf16, bf16, Precision::bf16};
  const Chain chain(fused_network("resnet18", 1, 224), types, false, options().seed);
  const Chain::Run result = run(chain, preferring("mma"));
  RecordProperty("seconds", std::to_string(result.seconds));
  std::cout << "ResNet-18, 224x224, batch 1, bf16: " << result.seconds << " s (CPU " << result.cpu_seconds
            << " s) through" << used(result) << '\n';
  expect_accurate(chain, types, result.y);
  if (is_emulator() && is_optimised) {
    EXPECT_LE(result.cpu_seconds, 8) << "the emulator has become slow";
  }
}

TEST(WholeNetwork, LayersAfterEachOtherEqualOneFusedLayer) {
  // Integers in f32: convolution, then batch norm, then sum, then relu, against all of it in one epilogue.
  const ConvShape shape{.N = 2, .H = 9, .W = 8, .C = 32, .K = 48, .R = 3, .S = 3, .pads = {1, 1, 1, 1}};
  EpilogueProblem all;
  all.scale = all.shift = all.residual = true;
  all.activation.kind = ActivationKind::relu;
  for (const kernels::Kernel* kernel : tested_kernels()) {
    const DeviceInfo& device = devices().front();
    const kernels::Problem fused = make_conv(shape, all), bare = make_conv(shape);
    if (!kernel->supports(fused, device) || !kernel->supports(bare, device)) continue;
    SCOPED_TRACE(kernel->name);
    const HostData data = make_data(fused, DataKind::signed_integers, options().seed);
    const RunResult one = run_kernel(*kernel, fused, device, data);
    const RunResult sums = run_kernel(*kernel, bare, device, {data.x, {}, data.weight, {}, {}});
    PointwiseProblem scale_shift, add;
    scale_shift.N = add.N = 2, scale_shift.positions_per_image = add.positions_per_image = 72;
    scale_shift.C = add.C = 48, add.kind = PointwiseKind::add;
    scale_shift.epilogue.scale = scale_shift.epilogue.shift = true, add.epilogue.activation = all.activation;
    const kernels::Kernel* const first = kernels::select_kernel(scale_shift, device);
    const kernels::Kernel* const second = kernels::select_kernel(add, device);
    ASSERT_TRUE(first && second);
    const RunResult scaled =
        run_kernel(*first, scale_shift, device, {decode(f32, sums.y), {}, {}, data.scale, data.shift});
    const RunResult added = run_kernel(*second, add, device, {decode(f32, scaled.y), data.second, {}, {}, {}});
    EXPECT_EQ(added.y, one.y);
  }
}

}  // namespace
}  // namespace resnet::test
