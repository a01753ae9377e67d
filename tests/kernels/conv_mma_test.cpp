#include "kernels/conv_mma.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "kernels/kernel_list.hpp"
#include "kernels/kernel_run.hpp"

/// Every tile and every way to split the reduction, also those that the paper model does not choose at small sizes.
namespace resnet::test {
namespace {

using kernels::ConvMmaChoice;

/// conv_mma with a choice of ours.
ConvMmaChoice forced_choice;

kernels::Kernel forced_kernel() {
  kernels::Kernel kernel = kernels::conv_mma;
  kernel.workspace_bytes = [](const kernels::Problem&, const DeviceInfo&) {
    return kernels::conv_mma_workspace_bytes(forced_choice);
  };
  kernel.launch = [](const kernels::Problem& problem, const kernels::Operands& operands,
                     const kernels::LaunchTarget& target) {
    return kernels::launch_conv_mma(std::get<ConvProblem>(problem), forced_choice, operands, target);
  };
  return kernel;
}

EpilogueProblem whole_epilogue() {
  EpilogueProblem epilogue;
  epilogue.scale = epilogue.shift = epilogue.residual = true;
  epilogue.activation.kind = ActivationKind::relu;
  return epilogue;
}

/// Rests along rows, columns and the reduction for every tile; a filter whose taps change inside a stage; windows that
/// leave the input on all sides; less rows and columns than one tile.
const ConvProblem problems[] = {
    make_conv({.N = 1, .H = 17, .W = 17, .C = 72, .K = 136}, whole_epilogue()),
    make_conv({.N = 2, .H = 13, .W = 11, .C = 24, .K = 72, .R = 3, .S = 3, .pads = {1, 1, 1, 1}}, whole_epilogue()),
    make_conv({.N = 1, .H = 19, .W = 18, .C = 8, .K = 200, .R = 5, .S = 3, .stride_w = 2, .pads = {2, 0, 1, 3}}),
    make_conv({.N = 3, .H = 2, .W = 2, .C = 264, .K = 20, .R = 3, .S = 3, .pads = {2, 1, 2, 1}, .dilation_h = 2},
              whole_epilogue()),
};

struct Case {
  int tile = 0, problem = 0;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (int tile = 0; tile < kernels::conv_mma_tiles(); ++tile) {
    for (int problem = 0; problem < static_cast<int>(std::size(problems)); ++problem) cases.push_back({tile, problem});
  }
  return cases;
}

using ConvMma = testing::TestWithParam<Case>;

TEST_P(ConvMma, IsRightWithEverySplitOfTheReduction) {
  const ConvProblem& shape = problems[GetParam().problem];
  if (options().sizes == Sizes::tiny && GetParam().problem != 1) GTEST_SKIP() << "one problem per tile when small";
  const kernels::Kernel kernel = forced_kernel();
  for (const Types& types : types_for(shape)) {
    const kernels::Problem problem = with_types(shape, types);
    const DeviceInfo& device = devices().front();
    if (!kernel.supports(problem, device)) continue;
    for (const DataKind kind : {DataKind::signed_integers, DataKind::real}) {
      const HostData data = make_data(problem, kind, options().seed);
      const std::vector<ExactResult> references = references_of(problem, kind, data);
      std::set<int> seen;  // the list holds splits that come to the same
      for (const int splits : {1, 2, 3, 32}) {
        forced_choice = kernels::conv_mma_choice(std::get<ConvProblem>(problem), device, GetParam().tile, splits);
        if (!forced_choice.ok() || !seen.insert(forced_choice.splits).second) continue;
        SCOPED_TRACE(case_text(kernel, problem, kind, device) + ", " + to_string(forced_choice));
        std::vector<std::byte> first;
        for (int run = 0; run < (has_access_hooks() ? options().schedules : std::max(2, options().schedules)); ++run) {
          RunOptions how;
          how.run = run;
          const RunResult result = run_kernel(kernel, problem, device, data, how);
          ASSERT_EQ(result.error, cudaSuccess);
          for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
          ASSERT_EQ(judge(problem, kind, references, result), "");
          if (run == 0) first = result.y;
          ASSERT_EQ(result.y, first) << "run " << run << " gives other bits than run 0";
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tiles, ConvMma, testing::ValuesIn(all_cases()), [](const auto& own) {
  return "tile_" + std::to_string(own.param.tile) + "_problem_" + std::to_string(own.param.problem);
});

}  // namespace
}  // namespace resnet::test
