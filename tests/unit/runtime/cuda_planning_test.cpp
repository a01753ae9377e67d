// Plans for GPUs that are not there. No CUDA call can be made: every entry of the table is null.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "backends/backend.hpp"
#include "base/json.hpp"
#include "kernels/cuda_api.hpp"
#include "plan/plan.hpp"
#include "resnet_engine/planning.hpp"
#include "runtime/device_text.hpp"
#include "support/resnet_graphs.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_model.hpp"

namespace resnet {
namespace {

std::shared_ptr<Backend> planner(const std::string& device) {
  for (const BackendEntry& entry : backend_list()) {
    if (entry.planner != nullptr) return entry.planner(parse_device_info(device));
  }
  return nullptr;
}

class CudaPlanning : public testing::Test {
 protected:
  CudaPlanning() { replace_cuda_api(&nothing_); }
  ~CudaPlanning() override { replace_cuda_api(nullptr); }

  static Graph graph(test::NetworkSpec network) {
    return optimise(build_graph(std::move(network.layers), network.output, std::move(network.tensors)), {});
  }
  static const Graph& resnet50() {
    static const Graph net = graph(test::torchvision_resnet("resnet50"));
    return net;
  }
  static std::unique_ptr<Plan> plan(Backend& backend, PlanOptions options) {
    options.stage_input = true;
    return make_plan(resnet50(), 8, 224, 224, backend, options);
  }

 private:
  CudaApi nothing_{};
};

/// Implementation -> number of steps.
std::map<std::string, int> counts(const Plan& plan) {
  std::map<std::string, int> result;
  for (const ChosenStep& step : plan.chosen) ++result[std::string(step.implementation->name)];
  return result;
}

double total_us(const Plan& plan) {
  double us = 0;
  for (const ChosenStep& step : plan.chosen) us += step.estimate_us;
  return us;
}

const ChosenStep& step_of(const Plan& plan, const std::string& layer) {
  for (const ChosenStep& step : plan.chosen) {
    if (!step.problem.nodes.empty() && step.problem.node().name == layer) return step;
  }
  throw std::runtime_error("no step computes " + layer);
}

std::string reason(const ChosenStep& step, const std::string& implementation) {
  for (const Refusal& refusal : step.refusals) {
    if (refusal.implementation == implementation) return refusal.reason;
  }
  return "(no refusal of " + implementation + ")";
}

PlanOptions in(Precision precision) {
  PlanOptions options;
  options.precision = precision;
  return options;
}

constexpr const char* architectures[] = {"sm_75,40", "sm_80,108", "sm_90,132", "sm_120,170"};

TEST_F(CudaPlanning, TakesTheMatrixUnitForFp16OnEveryArchitecture) {
  for (const char* device : architectures) {
    const auto backend = planner(device);
    const auto made = plan(*backend, in(Precision::fp16));
    auto used = counts(*made);
    EXPECT_EQ(used["conv_stem"] + used["conv_mma"] + used["conv_grouped_mma"], 53) << device;
    EXPECT_EQ(step_of(*made, "conv1").implementation->name, "conv_stem") << device;
    const ChosenStep& conv = step_of(*made, "layer1.0.conv2");
    EXPECT_EQ(conv.implementation->name, "conv_mma") << device;
    EXPECT_EQ(reason(conv, "conv_depthwise"), "groups must be C = 64, is 1") << device;
    EXPECT_EQ(reason(conv, "conv_direct").rfind("takes ", 0), 0u) << device;
    // 64 KiB a block on Turing.
    const bool small =
        reason(conv, "conv_grouped_mma") == "filter and input of a tile do not fit the shared memory of a block";
    EXPECT_EQ(small, std::string_view(device).starts_with("sm_75")) << device;
  }
}

TEST_F(CudaPlanning, MultipliesInFp32WhereNothingElseWasAskedFor) {
  for (const char* device : architectures) {
    const auto made = plan(*planner(device), {});
    auto used = counts(*made);
    EXPECT_EQ(used["conv_stem"] + used["conv_mma"] + used["conv_grouped_mma"] + used["dense_mma"], 0) << device;
    EXPECT_EQ(used["conv_direct"], 53) << device;
  }
}

TEST_F(CudaPlanning, KnowsWhatAnArchitectureCannotDo) {
  EXPECT_NE(planner("sm_75,40")->supports_precision(Precision::bf16).reason.find("bf16 needs sm_80"),
            std::string::npos);
  EXPECT_TRUE(planner("sm_80,108")->supports_precision(Precision::bf16));
  EXPECT_FALSE(planner("sm_120,170")->supports_precision(Precision::fp8));
}

TEST_F(CudaPlanning, ExpectsAFasterGpuToBeFaster) {
  const auto us = [&](const char* device) { return total_us(*plan(*planner(device), in(Precision::fp16))); };
  EXPECT_LT(us("sm_90,132"), us("sm_90,66"));
  EXPECT_LT(us("sm_90,132"), us("sm_90,132,1000"));
  EXPECT_LT(us("sm_90,132"), us("sm_80,108"));
  EXPECT_LT(us("sm_80,108"), us("sm_75,40"));
}

TEST_F(CudaPlanning, LetsMeasuredTimesDecide) {
  for (const char* device : architectures) {
    const auto backend = planner(device);
    PlanOptions options = in(Precision::fp16);
    const auto before = plan(*backend, options);
    const ChosenStep& conv = step_of(*before, "layer2.0.conv2");
    ASSERT_EQ(conv.implementation->name, "conv_mma") << device;
    EXPECT_FALSE(conv.measured);
    const MeasuredTimes measured{{{"conv_direct", problem_text(conv.problem)}, 0.125}};
    options.measured = &measured;
    const auto after = plan(*backend, options);
    const ChosenStep& again = step_of(*after, "layer2.0.conv2");
    EXPECT_EQ(again.implementation->name, "conv_direct") << device;
    EXPECT_TRUE(again.measured);
    EXPECT_EQ(again.estimate_us, 0.125);
    EXPECT_NE(reason(again, "conv_mma").find("the chosen entry 0.125 us"), std::string::npos);
    EXPECT_NE(describe_plan_json(*after).find("\"measured\""), std::string::npos);
    EXPECT_EQ(step_of(*after, "layer2.1.conv2").implementation->name, "conv_mma") << "another problem";
  }
}

/// Scratch memory and staging included.
TEST_F(CudaPlanning, NeedsHardlyMoreMemoryThanIsAliveAtOnce) {
  const auto backend = planner("sm_90,132");
  std::vector<test::NetworkSpec> networks;
  for (const std::string_view name : test::torchvision_resnets()) networks.push_back(test::torchvision_resnet(name));
  for (const test::Relative relative : {test::Relative::squeeze_excite, test::Relative::pre_activation})
    networks.push_back(test::resnet_relative(relative, "resnet50"));
  for (test::NetworkSpec& network : networks) {
    const Graph net = graph(std::move(network));
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      for (const std::int64_t n : {1, 8, 256}) {
        PlanOptions options = in(precision);
        options.stage_input = true;
        const auto plan = make_plan(net, n, 224, 224, *backend, options);
        EXPECT_LE(static_cast<double>(plan->arena.arena_bytes),
                  1.05 * static_cast<double>(plan->arena.lower_bound_bytes))
            << n << " images, " << net.size() << " nodes";
      }
    }
  }
}

/// For few images one launch averages and multiplies; results of larger batches, and what must not depend on the
/// batch, come from two.
TEST_F(CudaPlanning, PoolsInTheDenseLayersKernelForFewImages) {
  const auto backend = planner("sm_90,132");
  const Graph net = graph(test::torchvision_resnet("resnet18"));
  const auto used = [&](std::int64_t n, bool deterministic) {
    PlanOptions options = in(Precision::bf16);
    options.deterministic = deterministic;
    return counts(*make_plan(net, n, 224, 224, *backend, options));
  };
  EXPECT_EQ(used(1, false)["pool_dense"], 1);
  EXPECT_EQ(used(1, false)["adaptive_pool"], 0);
  EXPECT_EQ(used(9, false)["pool_dense"], 0);
  EXPECT_EQ(used(1, true)["pool_dense"], 0);
}

TEST_F(CudaPlanning, DescribesAModelLikeASessionDoes) {
  const test::ScratchFolder folder;
  test::write_tiny_model(folder / "tiny.rne");
  const Model model = Model::load(folder / "tiny.rne");
  const Json json =
      parse_json(describe_plan_for(model, "sm_90,132", 3, 10, 12, {.retain = Retain::steps}), "description");
  EXPECT_EQ(json.at("device").as_string(), "sm_90,132");
  EXPECT_EQ(json.at("device_name").as_string(), "sm_90, 132 multiprocessors, 3350 GB/s");
  EXPECT_EQ(json.at("input").dump(), "[3,10,12,3]");
  EXPECT_GT(json.at("memory").at("arena_bytes").as_int(), 0);
  ASSERT_FALSE(json.at("steps").as_array().empty());
  for (const Json& step : json.at("steps").as_array()) {
    EXPECT_EQ(step.at("time").as_string(), "estimated");
    EXPECT_GT(step.at("estimate_us").as_double(), 0);
    EXPECT_TRUE(step.find("workspace_bytes") && step.find("refusals"));
  }
}

TEST_F(CudaPlanning, RefusesTextsThatDescribeNoGpu) {
  for (const char* text :
       {"", "sm_90", "sm_90,", "sm_90,0", "sm_90,-1", "sm_90,1025", "sm_90,132,", "sm_90,132,0", "sm_90,132,nan",
        "sm_90,132,1e9", "sm_90,132,3350,1", "sm_91,132", "90,132", "sm_90,132 ", "sm_90,0x10", "sm_090,132"}) {
    try {
      parse_device_info(text);
      ADD_FAILURE() << "accepted " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      EXPECT_NE(std::string(error.what()).find("sm_90,132"), std::string::npos) << error.what();
    }
  }
  EXPECT_EQ(parse_device_info("sm_90,66").memory_gb_per_s, 1675);
  EXPECT_EQ(parse_device_info("sm_80,108,1555").memory_gb_per_s, 1555);
}

}  // namespace
}  // namespace resnet
