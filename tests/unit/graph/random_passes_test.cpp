#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <random>

#include "graph/passes.hpp"
#include "support/interpreter.hpp"
#include "support/random_graph.hpp"

namespace resnet {
namespace {

using test::interpret;
using test::interpret_output;
using test::random_network;
using test::RandomNetwork;
using test::Values;

constexpr std::uint64_t seeds = 400;

std::string text(const Graph& graph, const Dims& input) {
  return dump(graph, infer_shapes(graph, input.n, input.h, input.w));
}

/// Runs the network before and after a rewrite, on two images, and names the first difference.
class Rewritten {
 public:
  explicit Rewritten(std::uint64_t seed, bool exact = true)
      : seed_(seed), network_(random_network(seed, {.exact = exact})), before_(network_.build()) {
    dims_ = network_.input;
    dims_.n = 2;
    input_ = network_.input_values(2, seed);
    values_ = interpret(before_, network_.weights, dims_, input_);
    output_ = interpret_output(before_, network_.weights, dims_, input_);
  }

  const Graph& before() const { return before_; }
  const RandomNetwork& network() const { return network_; }
  const Dims& dims() const { return dims_; }

  /// The output, and every value that still exists under a source layer's name, is the same.
  void expect_same(const Graph& after, double tolerance) const {
    expect_close(interpret_output(after, network_.weights, dims_, input_), output_, "the output", after, tolerance);
    for (const auto& [name, value] : interpret(after, network_.weights, dims_, input_)) {
      const auto original = values_.find(name);
      if (original != values_.end()) expect_close(value, original->second, name, after, tolerance);
    }
  }

 private:
  void expect_close(const std::vector<double>& actual, const std::vector<double>& expected, const std::string& name,
                    const Graph& after, double tolerance) const {
    ASSERT_EQ(actual.size(), expected.size()) << name << ", seed " << seed_;
    double norm = 0;
    for (const double value : expected) norm = std::max(norm, std::abs(value));
    for (std::size_t i = 0; i < actual.size(); ++i) {
      ASSERT_TRUE(std::isfinite(expected[i])) << name << "[" << i << "], seed " << seed_;
      ASSERT_LE(std::abs(actual[i] - expected[i]), tolerance * norm)
          << name << "[" << i << "] is " << actual[i] << " instead of " << expected[i] << ", seed " << seed_
          << "\nbefore:\n"
          << text(before_, dims_) << "after:\n"
          << text(after, dims_);
    }
  }

  std::uint64_t seed_;
  RandomNetwork network_;
  Graph before_;
  Dims dims_;
  std::vector<float> input_;
  Values values_;
  std::vector<double> output_;
};

Graph optimise_fully(Graph graph, const Dims& dims, const PassOptions& options) {
  graph = optimise(std::move(graph), options);
  return specialise(graph, infer_shapes(graph, dims.n, dims.h, dims.w), options);
}

TEST(RandomNetworks, AreExactInDoubleBeforeTheirHead) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const RandomNetwork network = random_network(seed);
    const Graph graph = network.build();
    for (const auto& [name, value] : interpret(graph, network.weights, network.input, network.input_values(1, seed))) {
      if (!name.starts_with("conv2d") && !name.starts_with("batch_norm") && !name.starts_with("add")) continue;
      for (const double x : value) {
        ASSERT_EQ(x, std::ldexp(std::round(std::ldexp(x, 40)), -40)) << name << ", seed " << seed;
      }
    }
  }
}

TEST(RandomNetworks, ExerciseEveryOpAndEveryPass) {
  std::map<std::string_view, int> ops, passes;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    for (const bool exact : {true, false}) {
      const RandomNetwork network = random_network(seed, {.exact = exact});
      Graph graph = network.build();
      for (const Node& node : graph.nodes) ++ops[node.op->name];
      for (const Pass& pass : graph_passes()) {
        const std::string before = text(graph, network.input);
        graph = pass.run(std::move(graph), {});
        if (text(graph, network.input) != before) ++passes[pass.name];
      }
      const std::string before = text(graph, network.input);
      const Graph special = specialise(graph, infer_shapes(graph, 1, network.input.h, network.input.w), {});
      if (text(special, network.input) != before) ++passes["specialise"];
    }
  }
  for (const OpDef* op : op_table()) {
    if (!op->internal) {
      EXPECT_GE(ops[op->name], 10) << op->name;
    }
  }
  for (const Pass& pass : graph_passes()) {
    if (pass.name != "drop_dead") {  // build_graph leaves nothing to drop
      EXPECT_GE(passes[pass.name], 20) << pass.name;
    }
  }
  EXPECT_GE(passes["specialise"], 10);
}

TEST(EveryPass, KeepsEveryValueBitByBit) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const Rewritten test(seed);
    Graph graph = test.before();
    for (const Pass& pass : graph_passes()) {
      SCOPED_TRACE(std::string(pass.name));
      test.expect_same(pass.run(test.before(), {}), 0);  // alone
      graph = pass.run(std::move(graph), {});            // and after the others
      test.expect_same(graph, 0);
      if (HasFailure()) return;
    }
    SCOPED_TRACE("specialise");
    test.expect_same(specialise(graph, infer_shapes(graph, 2, test.dims().h, test.dims().w), {}), 0);
    if (HasFailure()) return;
  }
}

TEST(EveryPass, KeepsEveryValueInAnyOrderOfPasses) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const Rewritten test(seed);
    std::vector<Pass> passes(graph_passes().begin(), graph_passes().end());
    passes.insert(passes.end(), graph_passes().begin(), graph_passes().end());
    std::mt19937_64 random(seed);
    std::shuffle(passes.begin(), passes.end(), random);
    Graph graph = test.before();
    for (const Pass& pass : passes) graph = pass.run(std::move(graph), {});
    test.expect_same(graph, 0);
    if (HasFailure()) return;
  }
}

TEST(EveryPass, KeepsRealValuesUpToRounding) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const Rewritten test(seed, false);
    test.expect_same(optimise_fully(test.before(), test.dims(), {}), 1e-12);
    if (HasFailure()) return;
  }
}

TEST(EveryPass, KeepsTheOutputsAtOtherInputSizes) {
  for (std::uint64_t seed = 0; seed < seeds / 4; ++seed) {
    const RandomNetwork network = random_network(seed);
    const Graph before = network.build(), after = optimise(before, {});
    const Dims dims{1, network.input.h + 3, network.input.w + 1, network.input.c};
    std::vector<float> input(static_cast<std::size_t>(dims.elements()));
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(static_cast<int>(i % 7) - 3);
    std::vector<double> expected;
    try {
      expected = interpret_output(before, network.weights, dims, input);
    } catch (const Error&) {  // a dense layer that was made for one size
      EXPECT_THROW(interpret_output(after, network.weights, dims, input), Error) << seed;
      continue;
    }
    // Means over other than 2^k values are rounded.
    const std::vector<double> actual = interpret_output(after, network.weights, dims, input);
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(actual[i], expected[i], 1e-9 * (1 + std::abs(expected[i]))) << seed;
  }
}

TEST(EveryPass, LeavesKeptValuesVisible) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const Rewritten test(seed);
    std::mt19937_64 random(seed);
    PassOptions options;
    for (const Node& node : test.before().nodes) {
      if (random() % 4 == 0) options.keep.insert(node.name);
    }
    const Graph after = optimise_fully(test.before(), test.dims(), options);
    for (const std::string& name : options.keep) {
      EXPECT_TRUE(std::any_of(after.nodes.begin(), after.nodes.end(),
                              [&](const Node& node) { return node.value_name() == name; }))
          << name << " vanished, seed " << seed << "\n"
          << text(after, test.dims());
    }
    test.expect_same(after, 0);
    if (HasFailure()) return;
  }
}

TEST(EveryPass, KeepsTheOrderTopologicalAndEveryLayerAccountedFor) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const Rewritten test(seed);
    const Graph after = optimise_fully(test.before(), test.dims(), {});
    std::multiset<std::string> layers;
    for (NodeId id = 0; id < after.size(); ++id) {
      const Node& node = after.node(id);
      for (const NodeId input : node.inputs) ASSERT_LT(input, id) << "seed " << seed;
      ASSERT_EQ(node.inputs.size(), static_cast<std::size_t>(node.op->inputs) + (node.epilogue.residual ? 1 : 0));
      ASSERT_TRUE(node.epilogue.empty() || node.op->takes_epilogue) << node.name;
      layers.insert(node.layers.begin(), node.layers.end());
    }
    for (const Node& node : test.before().nodes) {
      const bool at_input = node.op->name == "identity" && node.inputs[0] == 0;  // its value is the input itself
      ASSERT_EQ(layers.count(node.name), at_input ? 0u : 1u) << node.name << ", seed " << seed << "\n"
                                                             << text(after, test.dims());
    }
  }
}

}  // namespace
}  // namespace resnet
