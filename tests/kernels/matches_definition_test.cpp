#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernels/kernel_run.hpp"

/// Every kernel of the catalog on every problem of the table that it takes, against the definition.
namespace resnet::test {
namespace {

using Problems = testing::TestWithParam<ProblemCase>;

constexpr DataKind kinds[] = {DataKind::signed_integers, DataKind::positive_integers, DataKind::real};

/// All devices take their turn over kinds of data; a kernel that does not take that one runs on the first that it
/// takes.
const DeviceInfo* device_for(const kernels::Kernel& kernel, const kernels::Problem& problem, std::size_t turn) {
  const auto all = devices();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const DeviceInfo& device = all[(turn + i) % all.size()];
    if (kernel.supports(problem, device)) return &device;
  }
  return nullptr;
}

/// Where blocks come round most often.
std::size_t smallest_device() {
  const auto fewer = [](const DeviceInfo& a, const DeviceInfo& b) { return a.multiprocessors < b.multiprocessors; };
  return static_cast<std::size_t>(std::min_element(devices().begin(), devices().end(), fewer) - devices().begin());
}

/// All runs of one case: right, without faults, and the same bits under every schedule.
void check_case(const kernels::Kernel& kernel, const kernels::Problem& problem, DataKind kind, const DeviceInfo& device,
                const HostData& data, const std::vector<ExactResult>& references) {
  SCOPED_TRACE(case_text(kernel, problem, kind, device));
  RunResult first;
  for (int run = 0; run < options().schedules; ++run) {
    RunOptions how;
    how.run = run;
    // Integers stay exact whatever the matrix unit cuts off, real numbers change with it.
    how.truncating_mma = kind == DataKind::positive_integers ? run % 2 == 1 : kind == DataKind::real;
    const RunResult result = run_kernel(kernel, problem, device, data, how);
    ASSERT_EQ(result.error, cudaSuccess) << "launch refuses what supports() takes";
    for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
    ASSERT_EQ(judge(problem, kind, references, result), "") << "run " << run;
    if (run == 0) {
      first = result;
    } else {
      ASSERT_EQ(result.y, first.y) << "run " << run << " gives other bits than run 0";
    }
  }
}

/// Every fourth problem also changes the type between input and output in all ways.
std::vector<Types> tested_types(const ProblemCase& c) {
  std::vector<Types> all = types_for(c.problem);
  if (std::accumulate(c.name.begin(), c.name.end(), 0) % 4 != 0) return all;
  for (const Types& types : mixed_types_for(c.problem)) all.push_back(types);
  return all;
}

TEST_P(Problems, MatchTheDefinitionOnEveryKernel) {
  std::size_t turn = 0;
  for (const Types& types : tested_types(GetParam())) {
    const kernels::Problem problem = with_types(GetParam().problem, types);
    for (const DataKind kind : kinds) {
      if (kind != DataKind::real && !takes_integers(problem)) continue;
      ++turn;
      // The oracle is most of the host's work: not for a problem that no kernel of this run takes.
      const auto takes = [&](const kernels::Kernel* kernel) { return device_for(*kernel, problem, turn) != nullptr; };
      if (std::ranges::none_of(tested_kernels(), takes)) continue;
      const HostData data = make_data(problem, kind, options().seed);
      const std::vector<ExactResult> references = references_of(problem, kind, data);
      for (const kernels::Kernel* kernel : tested_kernels()) {
        const DeviceInfo* const device = device_for(*kernel, problem, GetParam().rounds ? smallest_device() : turn);
        if (device) check_case(*kernel, problem, kind, *device, data, references);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(Problems, HaveAKernelOnEveryDevice) {
  for (const Types& types : tested_types(GetParam())) {
    const kernels::Problem problem = with_types(GetParam().problem, types);
    for (const DeviceInfo& device : devices()) {
      std::string reasons;
      const bool found =
          std::any_of(kernels::catalog().begin(), kernels::catalog().end(), [&](const kernels::Kernel* kernel) {
            const Support support = kernel->supports(problem, device);
            if (!support) reasons += "\n  " + std::string(kernel->name) + ": " + support.reason;
            return support.ok;
          });
      EXPECT_TRUE(found) << kernels::to_string(problem) << " has no kernel on sm_" << device.sm << reasons;
    }
  }
}

std::string name_of(const testing::TestParamInfo<ProblemCase>& info) { return info.param.name; }

/// For the emulator with access hooks: every access is checked, so that small cases say as much as large ones.
std::vector<ProblemCase> affordable(std::vector<ProblemCase> cases) {
  constexpr std::int64_t most_work = 120000;
  if (options().sizes != Sizes::tiny) return cases;
  std::erase_if(cases, [](const ProblemCase& problem) { return work_of(problem.problem) > most_work; });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Networks, Problems, testing::ValuesIn(network_problems(1, options().sizes)), name_of);
INSTANTIATE_TEST_SUITE_P(Edges, Problems, testing::ValuesIn(affordable(edge_problems())), name_of);
INSTANTIATE_TEST_SUITE_P(Rounds, Problems, testing::ValuesIn(round_problems()), name_of);
INSTANTIATE_TEST_SUITE_P(Random, Problems,
                         testing::ValuesIn(affordable(random_problems(options().seed, options().random_problems))),
                         name_of);

}  // namespace
}  // namespace resnet::test
