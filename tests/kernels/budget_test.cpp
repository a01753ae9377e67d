#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "kernels/launch_recorder.hpp"
#include "kernels/samples.hpp"

/// Shared memory that launches ask for, against the budgets in the kernels' files. Their registers are compared with
/// what ptxas reports when GPU code is built (scripts/ptxas_check.py).
namespace resnet::test {
namespace {

const std::filesystem::path folder = std::filesystem::path(RESNET_SOURCE_DIR) / "kernels";

/// Bytes by function name.
std::map<std::string, std::size_t> read_budgets() {
  static const std::regex broken_comment(R"(\n\s*//\s*)");
  static const std::regex budget(R"(Budget: (\w+) \d+ registers(?:, (\d+) bytes of shared memory)?)");
  std::map<std::string, std::size_t> budgets;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".cu") continue;
    std::stringstream file;
    file << std::ifstream(entry.path()).rdbuf();
    const std::string text = std::regex_replace(file.str(), broken_comment, " ");
    for (std::sregex_iterator match(text.begin(), text.end(), budget), end; match != end; ++match)
      budgets[(*match)[1]] = (*match)[2].matched ? std::stoul((*match)[2]) : 0;
  }
  return budgets;
}

std::vector<ProblemCase> problems() {
  std::vector<ProblemCase> all = edge_problems();
  for (const std::int64_t batch : {1, 32, 256}) {
    for (ProblemCase& c : network_problems(batch, Sizes::full)) all.push_back(std::move(c));
  }
  return all;
}

using Budgets = testing::TestWithParam<const kernels::Kernel*>;

TEST_P(Budgets, HoldForEveryLaunch) {
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "needs the sources";
  const std::map<std::string, std::size_t> budgets = read_budgets();
  std::map<std::string, std::size_t> most;
  for (const ProblemCase& c : problems()) {
    for (const Types& types : types_for(c.problem)) {
      const kernels::Problem problem = with_types(c.problem, types);
      for (const DeviceInfo& device : devices()) {
        if (!GetParam()->supports(problem, device)) continue;
        use_device(device);
        for (const RecordedLaunch& launch : record_launches(*GetParam(), problem, device)) {
          const std::size_t bytes = launch.config.dynamicSmemBytes;
          ASSERT_LE(bytes, device.shared_bytes_per_block) << kernels::to_string(problem) << " on sm_" << device.sm;
          most[launch.name + "_kernel"] = std::max(most[launch.name + "_kernel"], bytes);
        }
      }
    }
  }
  EXPECT_FALSE(most.empty());
  for (const auto& [function, bytes] : most) {
    ASSERT_TRUE(budgets.contains(function)) << function << " has no budget";
    EXPECT_LE(bytes, budgets.at(function)) << function;
  }
}

INSTANTIATE_TEST_SUITE_P(Catalog, Budgets, testing::ValuesIn(tested_kernels()), KernelName());

}  // namespace
}  // namespace resnet::test
