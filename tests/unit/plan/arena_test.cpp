// The promise of docs/benchmarks.md, "Arena", for every torchvision ResNet, and the rules of memory for whole plans.

#include <gtest/gtest.h>

#include <algorithm>

#include "backends/reference/reference_backend.hpp"
#include "plan/plan.hpp"
#include "support/random_graph.hpp"
#include "support/resnet_graphs.hpp"

namespace resnet::test {
namespace {

Graph optimised_resnet(std::string_view name) {
  NetworkSpec spec = torchvision_resnet(name);
  return optimise(build_graph(std::move(spec.layers), spec.output, std::move(spec.tensors)), {});
}

TEST(Arena, IsWithinFivePercentOfTheLowerBoundForEveryTorchvisionResnet) {
  const auto backend = make_reference_backend("reference");
  for (const auto name : torchvision_resnets()) {
    const Graph graph = optimised_resnet(name);
    for (const std::int64_t batch : {1, 8, 32}) {
      const auto plan = make_plan(graph, batch, 224, 224, *backend, {});
      EXPECT_GT(plan->arena.lower_bound_bytes, 0u);
      EXPECT_LE(static_cast<double>(plan->arena.arena_bytes), 1.05 * static_cast<double>(plan->arena.lower_bound_bytes))
          << name << " at batch " << batch;
    }
  }
}

struct Use {
  std::size_t offset, bytes;
  int first, last;
  std::string what;
};

/// Reconstructs who uses which bytes when, from nothing but the steps' addresses.
std::vector<Use> uses(const Plan& plan) {
  std::vector<Use> list{{plan.input.offset, plan.input.desc.bytes(), 0, 0, "input"}};
  std::vector<std::pair<std::pair<NodeId, ValueDesc>, std::size_t>> made{{{0, plan.input.desc}, 0}};
  for (std::size_t s = 0; s < plan.chosen.size(); ++s) {
    const StepProblem& problem = plan.chosen[s].problem;
    const int step = static_cast<int>(s);
    for (std::size_t i = 0; i < problem.inputs.size(); ++i) {
      const std::pair<NodeId, ValueDesc> key{problem.inputs[i], problem.input_descs[i]};
      const auto found = std::find_if(made.begin(), made.end(), [&](const auto& entry) { return entry.first == key; });
      EXPECT_NE(found, made.end()) << "step " << s << " reads what no step made";
      if (found == made.end()) continue;
      EXPECT_EQ(list[found->second].offset, plan.memory[s].inputs[i]) << "step " << s << " reads from another place";
      list[found->second].last = step;
    }
    for (std::size_t o = 0; o < problem.outputs.size(); ++o) {
      made.push_back({{problem.outputs[o], problem.output_descs[o]}, list.size()});
      list.push_back({plan.memory[s].outputs[o], problem.output_descs[o].bytes(), step, step,
                      plan.graph.node(problem.outputs[o]).name});
    }
    if (plan.steps[s]->workspace_bytes() > 0) {
      list.push_back({plan.memory[s].workspace, plan.steps[s]->workspace_bytes(), step, step, "workspace"});
    }
  }
  return list;
}

/// No two uses at the same time share a byte, but an output with the input that dies where it is made.
void expect_no_conflict(const Plan& plan) {
  const auto list = uses(plan);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Use& a = list[i];
    ASSERT_EQ(a.offset % arena_alignment, 0u) << a.what;
    ASSERT_LE(a.offset + a.bytes, plan.arena.arena_bytes) << a.what;
    for (std::size_t j = 0; j < i; ++j) {
      const Use& b = list[j];
      const bool in_time = a.first <= b.last && b.first <= a.last;
      const bool in_memory = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      const bool handed_over = a.offset == b.offset && a.bytes == b.bytes && (a.first == b.last || b.first == a.last);
      ASSERT_FALSE(in_time && in_memory && !handed_over) << a.what << " and " << b.what << " share memory";
    }
  }
}

TEST(Arena, NeverHoldsTwoLiveValuesInOnePlaceInRandomNetworks) {
  const auto backend = make_reference_backend("reference");
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const RandomNetwork net = random_network(seed);
    const Graph graph = optimise(net.build(), {});
    for (const bool retain : {false, true}) {
      PlanOptions options;
      options.retain_steps = retain;
      expect_no_conflict(*make_plan(graph, 2, net.input.h, net.input.w, *backend, options));
      if (HasFatalFailure()) FAIL() << "in network " << seed;
    }
  }
}

}  // namespace
}  // namespace resnet::test
