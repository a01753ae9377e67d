#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernels/kernel_run.hpp"
#include "kernels/numbers.hpp"
#include "kernels/samples.hpp"

/// Relations between runs of one kernel that need no reference. On integers, so every one holds bit by bit.
namespace resnet::test {
namespace {

using Metamorphic = testing::TestWithParam<const kernels::Kernel*>;

/// Problems with room for every relation: three images, several tiles of channels, rests.
std::vector<Sample> problems_of(const kernels::Kernel& kernel, const ConvShape& shape) {
  EpilogueProblem epilogue;
  epilogue.scale = epilogue.shift = true;
  epilogue.activation.kind = ActivationKind::relu;
  std::vector<Sample> samples;
  const kernels::Problem problem = make_conv(shape, epilogue);
  for (const Types& types : types_for(problem)) {
    for (const DeviceInfo& device : devices()) {
      const kernels::Problem typed = with_types(problem, types);
      if (!kernel.supports(typed, device)) continue;
      samples.push_back({typed, &device});
      break;
    }
  }
  return samples;
}

constexpr ConvShape shapes[] = {
    {.N = 3, .H = 6, .W = 7, .C = 32, .K = 40, .R = 3, .S = 3, .pads = {1, 1, 1, 1}},
    {.N = 3, .H = 6, .W = 7, .C = 48, .K = 72},
    {.N = 3, .H = 13, .W = 12, .C = 3, .K = 64, .R = 7, .S = 7, .stride_h = 2, .stride_w = 2, .pads = {3, 3, 3, 3}},
    {.N = 3, .H = 6, .W = 7, .C = 32, .K = 32, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 4},
    {.N = 3, .H = 6, .W = 7, .C = 40, .K = 40, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 40},
};

std::vector<float> run(const kernels::Kernel& kernel, const Sample& sample, const HostData& data) {
  const RunResult result = run_kernel(kernel, sample.problem, *sample.device, data);
  EXPECT_EQ(result.error, cudaSuccess);
  for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
  return decode(operand_sizes(sample.problem).y_type, result.y);
}

/// The rows of `width` values in another order.
std::vector<float> permuted(const std::vector<float>& values, std::size_t width,
                            const std::vector<std::size_t>& order) {
  std::vector<float> result;
  for (const std::size_t row : order) {
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(row * width);
    result.insert(result.end(), first, first + static_cast<std::ptrdiff_t>(width));
  }
  return result;
}

void for_each_problem(const kernels::Kernel& kernel, const auto& check) {
  for (const ConvShape& shape : shapes) {
    for (const Sample& sample : problems_of(kernel, shape)) {
      SCOPED_TRACE(case_text(kernel, sample.problem, DataKind::signed_integers, *sample.device));
      check(sample, make_data(sample.problem, DataKind::signed_integers, options().seed),
            std::get<ConvProblem>(sample.problem));
    }
  }
}

TEST_P(Metamorphic, ImagesInAnotherOrderGiveResultsInThatOrder) {
  for_each_problem(*GetParam(), [&](const Sample& sample, const HostData& data, const ConvProblem& p) {
    HostData turned = data;
    turned.x = permuted(data.x, static_cast<std::size_t>(p.H * p.W * p.C), {2, 0, 1});
    const std::vector<float> y = run(*GetParam(), sample, data), turned_y = run(*GetParam(), sample, turned);
    EXPECT_EQ(turned_y, permuted(y, static_cast<std::size_t>(p.P * p.Q * p.K), {2, 0, 1}));
  });
}

TEST_P(Metamorphic, EachImageAloneGivesItsPartOfTheBatch) {
  for_each_problem(*GetParam(), [&](const Sample& sample, const HostData& data, const ConvProblem& p) {
    const std::vector<float> y = run(*GetParam(), sample, data);
    Sample alone = sample;
    std::get<ConvProblem>(alone.problem).N = 1;
    if (!GetParam()->supports(alone.problem, *alone.device)) return;
    HostData image = data;
    image.x = permuted(data.x, static_cast<std::size_t>(p.H * p.W * p.C), {1});
    EXPECT_EQ(run(*GetParam(), alone, image), permuted(y, static_cast<std::size_t>(p.P * p.Q * p.K), {1}));
  });
}

TEST_P(Metamorphic, FiltersInAnotherOrderGiveChannelsInThatOrder) {
  for_each_problem(*GetParam(), [&](const Sample& sample, const HostData& data, const ConvProblem& p) {
    if (p.groups != 1) return;
    const auto K = static_cast<std::size_t>(p.K);
    std::vector<std::size_t> order(K);
    for (std::size_t k = 0; k < K; ++k) order[k] = (k * 7 + 3) % K;  // 7 divides none of the table's K
    HostData turned = data;
    turned.weight = permuted(data.weight, static_cast<std::size_t>(p.R * p.S * p.C), order);
    turned.scale = permuted(data.scale, 1, order), turned.shift = permuted(data.shift, 1, order);
    const std::vector<float> y = run(*GetParam(), sample, data), turned_y = run(*GetParam(), sample, turned);
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(turned_y[i], y[i / K * K + order[i % K]]) << "element " << i;
  });
}

TEST_P(Metamorphic, FiltersOfZerosLeaveTheShift) {
  for_each_problem(*GetParam(), [&](const Sample& sample, const HostData& data, const ConvProblem& p) {
    HostData zero = data;
    std::fill(zero.weight.begin(), zero.weight.end(), 0.0f);
    const std::vector<float> y = run(*GetParam(), sample, zero);
    for (std::size_t i = 0; i < y.size(); ++i)
      ASSERT_EQ(y[i], std::max(data.shift[i % static_cast<std::size_t>(p.K)], 0.0f)) << "element " << i;
  });
}

TEST_P(Metamorphic, AnIdentityFilterCopiesItsInput) {
  for (const std::int64_t size : {1, 3}) {
    ConvShape shape{.N = 2, .H = 7, .W = 6, .C = 64, .K = 64, .R = size, .S = size};
    for (std::int64_t& pad : shape.pads) pad = size / 2;
    for (Sample& sample : problems_of(*GetParam(), shape)) {
      auto& p = std::get<ConvProblem>(sample.problem);
      p.epilogue = {};
      if (!GetParam()->supports(sample.problem, *sample.device)) continue;
      SCOPED_TRACE(case_text(*GetParam(), sample.problem, DataKind::signed_integers, *sample.device));
      HostData data = make_data(sample.problem, DataKind::signed_integers, options().seed);
      std::fill(data.weight.begin(), data.weight.end(), 0.0f);
      const std::int64_t taps = size * size, centre = taps / 2;
      for (std::int64_t k = 0; k < p.K; ++k) data.weight[static_cast<std::size_t>((k * taps + centre) * p.C + k)] = 1;
      EXPECT_EQ(run(*GetParam(), sample, data), data.x);
    }
  }
}

TEST_P(Metamorphic, PadsAreZerosAroundTheInput) {
  for_each_problem(*GetParam(), [&](const Sample& sample, const HostData& data, const ConvProblem& p) {
    if (p.pad_top == 0) return;
    Sample valid = sample;
    auto& q = std::get<ConvProblem>(valid.problem);
    q.H = p.H + p.pad_top + p.pad_bottom, q.W = p.W + p.pad_left + p.pad_right;
    q.pad_top = q.pad_left = q.pad_bottom = q.pad_right = 0;
    if (!GetParam()->supports(valid.problem, *valid.device)) return;
    HostData padded = data;
    padded.x.assign(static_cast<std::size_t>(q.N * q.H * q.W * q.C), 0);
    const auto row = static_cast<std::size_t>(p.W * p.C);
    for (std::int64_t n = 0; n < p.N; ++n) {
      for (std::int64_t h = 0; h < p.H; ++h) {
        std::copy_n(data.x.begin() + (n * p.H + h) * p.W * p.C, row,
                    padded.x.begin() + ((n * q.H + h + p.pad_top) * q.W + p.pad_left) * q.C);
      }
    }
    EXPECT_EQ(run(*GetParam(), valid, padded), run(*GetParam(), sample, data));
  });
}

std::vector<const kernels::Kernel*> convolutions() {
  std::vector<const kernels::Kernel*> list = tested_kernels();
  std::erase_if(list, [](const kernels::Kernel* kernel) {
    return std::all_of(std::begin(shapes), std::end(shapes),
                       [&](const ConvShape& shape) { return problems_of(*kernel, shape).empty(); });
  });
  return list;
}

INSTANTIATE_TEST_SUITE_P(Catalog, Metamorphic, testing::ValuesIn(convolutions()), KernelName());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Metamorphic);

}  // namespace
}  // namespace resnet::test
