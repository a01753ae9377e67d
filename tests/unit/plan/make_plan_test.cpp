#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/check.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "plan/plan.hpp"
#include "support/interpreter.hpp"
#include "support/plan_runner.hpp"
#include "support/test_backend.hpp"
#include "unit/plan/test_graphs.hpp"

namespace resnet::test {
namespace {

constexpr Dims input_dims{2, 4, 4, 6};

/// Every special entry of the test backend has its place in it:
/// twins make a and b, pair makes d over c, tiled makes e, in_place f, may_alias g.
Graph network() {
  return small_graph({{"a", "relu", {"x"}},
                      {"b", "sigmoid", {"x"}},
                      {"c", "add", {"a", "b"}},
                      {"d", "relu", {"c"}},
                      {"e", "leaky_relu", {"d"}},
                      {"f", "relu6", {"e"}},
                      {"g", "silu", {"f"}},
                      {"h", "add", {"g", "d"}},
                      {"p", "global_avg_pool", {"h"}}},
                     "p", 4, 4, 6);
}

TestBackend full_backend() {
  return {&entries::pair, &entries::twins, &entries::in_place, &entries::may_alias, &entries::tiled, &entries::single};
}

std::vector<float> input_values() {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> value(-3, 3);
  std::vector<float> values(static_cast<std::size_t>(input_dims.elements()));
  std::generate(values.begin(), values.end(), [&] { return value(random); });
  return values;
}

std::string text(const Plan& plan) {
  std::string line;
  for (const ChosenStep& step : plan.chosen) {
    line += (line.empty() ? "" : " ") + std::string(step.implementation->name) + '(';
    for (const NodeId node : step.problem.nodes) line += plan.graph.node(node).name;
    if (step.problem.nodes.empty()) line += plan.graph.node(step.problem.inputs[0]).name;
    line += ')';
  }
  return line;
}

/// The index of the step that makes `name`.
std::size_t step_of(const Plan& plan, std::string_view name) {
  for (std::size_t s = 0; s < plan.chosen.size(); ++s) {
    for (const NodeId node : plan.chosen[s].problem.nodes) {
      if (plan.graph.node(node).name == name) return s;
    }
  }
  ADD_FAILURE() << "no step makes " << name;
  return 0;
}

TEST(Plan, RunsSetsOfSeveralNodesAliasesAndPrivateLayouts) {
  TestBackend backend = full_backend();
  PlanRunner runner(network(), input_dims, backend, {}, {});
  EXPECT_EQ(text(runner.plan()),
            "twins(ab) pair(cd) conversion(d) tiled(e) conversion(e) in_place(f) may_alias(g) single(h) single(p)");
  const auto input = input_values();
  EXPECT_LT(relative_error(runner.run(input), interpret_output(network(), {}, input_dims, input)), 1e-6);
  EXPECT_LT(relative_error(runner.run(input), interpret_output(network(), {}, input_dims, input)), 1e-6)
      << "second run";
}

/// Takes relu and sigmoid by all that selection asks, and refuses wider values than two when it is prepared.
const Implementation late{"late",
                          [](const Graph& graph, NodeId first) {
                            const auto op = graph.node(first).op->name;
                            return op == "relu" || op == "sigmoid" ? std::vector<NodeId>{first} : std::vector<NodeId>{};
                          },
                          [](const StepProblem&, const DeviceInfo&) { return Support::yes(); },
                          [](const StepProblem&, const DeviceInfo&) { return 1.0; },
                          nullptr,
                          nullptr,
                          [](const StepProblem& problem, const DeviceInfo& device) {
                            const std::int64_t width = problem.output_descs[0].dims.w;
                            if (width > 4) fail(ErrorCode::device_failed, "the device is lost");
                            if (width > 2) fail(ErrorCode::unsupported, "no engine for this width", {}, "be narrower");
                            return entries::single.prepare(problem, device);
                          }};

/// a, b and c are 4 wide, d is not.
Graph narrowing() {
  return small_graph({{"a", "relu", {"x"}},
                      {"b", "sigmoid", {"a"}},
                      {"c", "relu", {"b"}},
                      {"p", "global_avg_pool", {"c"}},
                      {"d", "relu", {"p"}}},
                     "d");
}

TEST(Plan, TakesTheNextEntryWhereOneRefusesWhenPrepared) {
  TestBackend backend{&late, &entries::single};
  const auto plan = make_plan(narrowing(), 1, 4, 4, backend, {});
  EXPECT_EQ(text(*plan), "single(a) single(b) single(c) single(p) late(d)") << "only what it refused is another's";
  EXPECT_EQ(plan->steps.size(), plan->chosen.size());
  for (std::size_t step = 0; step < 3; ++step) {
    ASSERT_EQ(plan->chosen[step].refusals.size(), 1u);
    EXPECT_EQ(plan->chosen[step].refusals[0].implementation, "late");
    EXPECT_EQ(plan->chosen[step].refusals[0].reason, "no engine for this width");
  }
  const auto input = std::vector<float>(4 * 4 * 8, 0.5f);
  PlanRunner runner(narrowing(), {1, 4, 4, 8}, backend, {}, {});
  EXPECT_LT(relative_error(runner.run(input), interpret_output(narrowing(), {}, {1, 4, 4, 8}, input)), 1e-6);
}

TEST(Plan, NamesEveryRefusalWhereTheOnlyEntryRefusesWhenPrepared) {
  TestBackend backend{&late};
  try {
    make_plan(small_graph({{"a", "relu", {"x"}}}, "a"), 1, 4, 4, backend, {});
    FAIL() << "nothing computes a";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_STREQ(error.what(),
                 "layer a: nothing computes this relu in fp32 (late: no engine for this width); use another precision "
                 "or --device");
  }
}

/// A forced entry is taken wherever it can be, and that is known only now.
TEST(Plan, TakesTheNextEntryWhereAForcedOneRefusesWhenPrepared) {
  TestBackend backend{&late, &entries::single};
  PlanOptions options;
  options.forced = {"late"};
  EXPECT_EQ(text(*make_plan(narrowing(), 1, 4, 4, backend, options)),
            "single(a) single(b) single(c) single(p) late(d)");
}

TEST(Plan, AsksNoEntryAgainForWhatItRefused) {
  TestBackend backend{&late, &entries::single};
  std::vector<std::string> warnings;
  set_log_sink([&](LogLevel, std::string_view text) { warnings.emplace_back(text); });
  PlanOptions options;
  options.refused_problems = make_plan(narrowing(), 1, 4, 4, backend, options)->refused_problems;
  EXPECT_EQ(options.refused_problems.size(), 2u) << "a and c are one problem";
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0],
            "late is not used for layer a: no engine for this width; describe_json() lists every such layer");
  EXPECT_EQ(make_plan(narrowing(), 1, 4, 4, backend, options)->refused_problems, options.refused_problems);
  EXPECT_EQ(warnings.size(), 1u);
  set_log_sink(nullptr);
}

TEST(Plan, FailsWhereTheDeviceFailsWhilePreparing) {
  TestBackend backend{&late, &entries::single};
  try {
    make_plan(narrowing(), 1, 8, 8, backend, {});
    FAIL() << "another entry hides a device that is lost";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::device_failed) << error.what();
  }
}

TEST(Plan, GivesValuesInsideASetNoMemory) {
  TestBackend fused{&entries::pair, &entries::single}, single{&entries::single};
  const Graph graph =
      small_graph({{"c", "add", {"x", "x"}}, {"d", "relu", {"c"}}, {"p", "global_avg_pool", {"d"}}}, "p", 4, 4, 8);
  const std::size_t value = 4 * 4 * 8 * sizeof(float);
  const auto plan = make_plan(graph, 1, 4, 4, fused, {});
  ASSERT_EQ(text(*plan), "pair(cd) single(p)");
  EXPECT_EQ(plan->arena.lower_bound_bytes, 3 * value) << "x, d and the workspace of one value";
  EXPECT_EQ(plan->arena.arena_bytes, 3 * value);
  EXPECT_EQ(plan->memory[0].outputs.size(), 1u);
  EXPECT_EQ(plan->absorbed, (std::map<std::string, std::string>{{"c", "d"}}));
}

TEST(Plan, CountsAnOverwrittenValueOnce) {
  const Graph graph =
      small_graph({{"a", "relu", {"x"}}, {"g", "silu", {"a"}}, {"r", "relu", {"g"}}, {"p", "global_avg_pool", {"r"}}},
                  "p", 4, 4, 8);
  TestBackend backend{&entries::may_alias, &entries::single};
  const auto plan = make_plan(graph, 1, 4, 4, backend, {});
  const auto& silu = plan->memory[step_of(*plan, "g")];
  EXPECT_EQ(silu.inputs[0], silu.outputs[0]) << "a dies in g, so g lies over it";
  EXPECT_EQ(plan->arena.lower_bound_bytes, 2 * 4 * 4 * 8 * sizeof(float));
}

TEST(Plan, DoesNotLetAWishOverwriteAValueThatIsReadLater) {
  const Graph graph = small_graph({{"a", "relu", {"x"}}, {"g", "silu", {"a"}}, {"h", "add", {"g", "a"}}}, "h", 4, 4, 8);
  TestBackend backend{&entries::may_alias, &entries::single};
  const auto plan = make_plan(graph, 1, 4, 4, backend, {});
  const auto& silu = plan->memory[step_of(*plan, "g")];
  EXPECT_NE(silu.inputs[0], silu.outputs[0]);
}

TEST(Plan, KeepsTheInputUntilItsLastReaderAndTheOutputToTheEnd) {
  TestBackend backend{&entries::single};
  const Graph graph =
      small_graph({{"a", "relu", {"x"}}, {"b", "silu", {"a"}}, {"c", "add", {"b", "x"}}, {"d", "relu", {"c"}}}, "d");
  const auto plan = make_plan(graph, 1, 4, 4, backend, {});
  EXPECT_EQ(plan->input.first_step, 0);
  EXPECT_EQ(plan->input.last_step, 2);
  EXPECT_EQ(plan->output.last_step, 3);
}

TEST(Plan, RetainsEveryStepsOutputInMemoryOfItsOwn) {
  TestBackend backend = full_backend();
  PlanOptions options;
  options.retain_steps = true;
  PlanRunner runner(network(), input_dims, backend, options, {});
  EXPECT_EQ(text(runner.plan()),
            "twins(ab) pair(cd) conversion(d) tiled(e) conversion(e) single(f) may_alias(g) single(h) single(p)")
      << "fusion stays; a step that must write over a retained value gives way";
  const auto input = input_values();
  runner.run(input);
  const Values exact = interpret(network(), {}, input_dims, input);
  std::set<std::string> names;
  for (const auto& [name, place] : runner.plan().retained) {
    names.insert(name);
    EXPECT_LT(relative_error(runner.retained(name), exact.at(name)), 1e-6) << name;
  }
  EXPECT_EQ(names, (std::set<std::string>{"a", "b", "d", "e", "f", "g", "h", "p"}));
  EXPECT_EQ(runner.plan().absorbed.at("c"), "d");
}

TEST(Plan, RetainsNamedValuesAndStopsSetsThere) {
  TestBackend backend = full_backend();
  PlanOptions options;
  options.retain_names = {"c", "e"};
  PlanRunner runner(network(), input_dims, backend, options, {});
  EXPECT_EQ(text(runner.plan()).find("pair"), std::string::npos) << text(runner.plan());
  const auto input = input_values();
  runner.run(input);
  const Values exact = interpret(network(), {}, input_dims, input);
  for (const std::string name : {"c", "e"})
    EXPECT_LT(relative_error(runner.retained(name), exact.at(name)), 1e-6) << name;
  EXPECT_EQ(runner.plan().retained.size(), 2u);
}

TEST(Plan, NamesTheNearestLayerForAnUnknownRetainName) {
  TestBackend backend{&entries::single};
  PlanOptions options;
  options.retain_names = {"hh"};
  try {
    make_plan(network(), 1, 4, 4, backend, options);
    FAIL() << "hh is no layer";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_STREQ(error.what(), "retain_names: no layer is called \"hh\"; did you mean \"h\"?");
  }
}

TEST(Plan, NamesTheValueThatAbsorbedARetainName) {
  // The pass fuses b into a's node unless it is told to keep a: here it was not.
  RandomNetwork net;
  net.layers = {
      {"x", "input", {}, {{"channels", std::int64_t{2}}, {"height", std::int64_t{2}}, {"width", std::int64_t{2}}}, {}},
      {"conv", "conv2d", {"x"}, {}, {{"weight", "w"}}},
      {"act", "relu", {"conv"}, {}, {}}};
  net.tensors = {{"w", {DType::f32, {2, 1, 1, 2}}}};
  const Graph fused = optimise(build_graph(net.layers, "act", net.tensors), {});
  TestBackend backend{&entries::single};
  PlanOptions options;
  EXPECT_EQ(make_plan(fused, 1, 2, 2, backend, options)->absorbed.at("conv"), "act");
  options.retain_names = {"conv"};
  try {
    make_plan(fused, 1, 2, 2, backend, options);
    FAIL() << "conv has no value";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_NE(std::string(error.what()).find("it became part of \"act\""), std::string::npos) << error.what();
  }
}

TEST(Plan, LeavesTheInputInPlaceWhereThereIsNothingToDo) {
  TestBackend backend{&entries::single};
  PlanRunner runner(small_graph({}, "x", 4, 4, 6), input_dims, backend, {}, {});
  EXPECT_EQ(runner.run(input_values()), input_values());
}

TEST(Plan, IsTheSameTwice) {
  TestBackend backend = full_backend();
  const auto one = make_plan(network(), 2, 4, 4, backend, {}), two = make_plan(network(), 2, 4, 4, backend, {});
  EXPECT_EQ(describe_plan_json(*one), describe_plan_json(*two));
  EXPECT_EQ(one->arena.offsets, two->arena.offsets);
}

TEST(DescribePlan, ListsStepsRefusalsAndMemory) {
  TestBackend backend = full_backend();
  const auto plan = make_plan(network(), 2, 4, 4, backend, {});
  const Json json = parse_json(describe_plan_json(*plan), "plan");
  const auto& steps = json.at("steps").as_array();
  ASSERT_EQ(steps.size(), 9u);

  const Json& pair = steps[1];
  EXPECT_EQ(pair.at("layers").dump(), "[\"c\",\"d\"]");
  EXPECT_EQ(pair.at("implementation").as_string(), "pair");
  EXPECT_EQ(pair.at("detail").as_string(), "test");
  EXPECT_EQ(pair.at("estimate_us").as_double(), 1);
  EXPECT_EQ(pair.at("output").as_string(), "2x4x4x6 f32");
  EXPECT_EQ(pair.at("workspace_bytes").as_int(), 2 * 4 * 4 * 6 * 4);
  EXPECT_EQ(pair.find("converts"), nullptr);
  EXPECT_EQ(
      pair.at("refusals").dump(),
      "[{\"implementation\":\"single\",\"reason\":\"takes 10 us for c; the cheapest cover has c + d in 1 us\"},"
      "{\"implementation\":\"single\",\"reason\":\"d: takes 10 us for d; the cheapest cover has c + d in 1 us\"}]");

  EXPECT_EQ(steps[0].at("output").as_string(), "2x4x4x6 f32, 2x4x4x6 f32") << "two outputs";
  EXPECT_EQ(steps[2].at("converts").as_string(), "d");
  EXPECT_TRUE(steps[2].at("layers").as_array().empty());
  EXPECT_EQ(steps[3].at("output").as_string(), "2x4x4x6 f32 layout16 cpad8");

  const Json& memory = json.at("memory");
  EXPECT_EQ(memory.at("arena_bytes").as_int(), static_cast<std::int64_t>(plan->arena.arena_bytes));
  EXPECT_EQ(memory.at("live_lower_bound_bytes").as_int(), static_cast<std::int64_t>(plan->arena.lower_bound_bytes));
  EXPECT_EQ(memory.at("weight_bytes").as_int(), 0);
}

}  // namespace
}  // namespace resnet::test
