// The planner's cover against all covers there are, on random graphs with random sets, layouts and times.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>
#include <set>
#include <utility>

#include "plan/plan.hpp"

namespace resnet {
namespace {

using Nodes = std::vector<NodeId>;
using Random = std::mt19937;

int below(Random& random, int end) { return static_cast<int>(random() % static_cast<unsigned>(end)); }

struct Entry {
  Nodes nodes;
  int us = 0;
  LayoutId in = LayoutId::nhwc, out = LayoutId::nhwc;
};

constexpr int max_entries = 20;
/// What the entries below answer. Entries are function pointers, so the case lies beside them.
struct Case {
  std::array<Entry, max_entries> entries;
  int count = 0;
  int conversion_us = 0;
} current;

ValueDesc in_layout(ValueDesc desc, LayoutId layout) {
  desc.layout = layout;
  return desc;
}

template <int index>
Implementation entry() {
  return {"entry",
          [](const Graph&, NodeId first) {
            const Nodes& nodes = current.entries[index].nodes;
            return index < current.count && nodes.front() == first ? nodes : Nodes{};
          },
          [](const StepProblem&, const DeviceInfo&) { return Support::yes(); },
          [](const StepProblem&, const DeviceInfo&) -> double { return current.entries[index].us; },
          [](const StepProblem& problem, const DeviceInfo&) {
            StepDescs descs;
            for (const auto& desc : problem.input_descs)
              descs.inputs.push_back(in_layout(desc, current.entries[index].in));
            for (const auto& desc : problem.output_descs)
              descs.outputs.push_back(in_layout(desc, current.entries[index].out));
            return descs;
          },
          nullptr,
          nullptr};
}

template <int... index>
std::array<Implementation, sizeof...(index)> all_entries(std::integer_sequence<int, index...>) {
  return {entry<index>()...};
}

const Implementation conversion{"conversion",
                                nullptr,
                                [](const StepProblem&, const DeviceInfo&) { return Support::yes(); },
                                [](const StepProblem&, const DeviceInfo&) -> double { return current.conversion_us; },
                                nullptr,
                                nullptr,
                                nullptr};

Graph random_graph(Random& random) {
  std::vector<LayerSpec> layers{
      {"n0",
       "input",
       {},
       {{"channels", std::int64_t{4}}, {"height", std::int64_t{2}}, {"width", std::int64_t{2}}},
       {}}};
  const int count = 2 + below(random, 6);
  for (int i = 1; i <= count; ++i) {
    // Mostly near inputs: long chains with some branches.
    const auto input = [&] { return "n" + std::to_string(std::max(0, i - 1 - below(random, 3))); };
    const bool two = below(random, 2) == 0;
    layers.push_back({"n" + std::to_string(i),
                      two ? "add" : "relu",
                      two ? std::vector{input(), input()} : std::vector{input()},
                      {},
                      {}});
  }
  return build_graph(std::move(layers), "n" + std::to_string(count), {});
}

Case random_case(Random& random, const Graph& graph) {
  Case made;
  made.conversion_us = below(random, 6);
  const auto layout = [&] { return below(random, 2) == 0 ? LayoutId::nhwc : LayoutId::first_opaque; };
  // A single entry for every node, so that some cover exists.
  for (NodeId node = 1; node < graph.size(); ++node)
    made.entries[static_cast<std::size_t>(made.count++)] = {{node}, 1 + below(random, 20), layout(), layout()};
  const int sets = 1 + below(random, max_entries - made.count);
  for (int i = 0; i < sets; ++i) {
    std::set<NodeId> nodes;
    const int size = 1 + below(random, 3);
    for (int k = 0; k < size; ++k) nodes.insert(1 + below(random, graph.size() - 1));
    made.entries[static_cast<std::size_t>(made.count++)] = {
        {nodes.begin(), nodes.end()}, 1 + below(random, 20), layout(), layout()};
  }
  return made;
}

constexpr double impossible = std::numeric_limits<double>::infinity();

/// Time of one complete cover, from the definition.
double cover_us(const Graph& graph, const std::vector<const Entry*>& cover, NodeId retained) {
  const auto users = consumers(graph);
  std::vector<std::size_t> group(graph.nodes.size(), cover.size());  // the input is a group of its own
  for (std::size_t g = 0; g < cover.size(); ++g) {
    for (const NodeId node : cover[g]->nodes) group[static_cast<std::size_t>(node)] = g;
  }
  // A cycle between groups: repeatedly take away groups all of whose producers are gone.
  std::set<std::size_t> done{cover.size()};
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t g = 0; g < cover.size(); ++g) {
      bool ready = !done.contains(g);
      for (const NodeId node : cover[g]->nodes) {
        for (const NodeId input : graph.node(node).inputs) {
          const std::size_t producer = group[static_cast<std::size_t>(input)];
          ready = ready && (producer == g || done.contains(producer));
        }
      }
      if (ready) changed = done.insert(g).second;
    }
  }
  if (done.size() != cover.size() + 1) return impossible;

  double us = 0;
  for (const Entry* taken : cover) us += taken->us;
  for (NodeId value = 0; value < graph.size(); ++value) {
    const std::size_t own = group[static_cast<std::size_t>(value)];
    const LayoutId made = value == 0 ? LayoutId::nhwc : cover[own]->out;
    std::set<LayoutId> wanted;
    bool leaves = value == graph.output;
    for (const NodeId user : users[static_cast<std::size_t>(value)]) {
      const std::size_t reader = group[static_cast<std::size_t>(user)];
      if (reader == own) continue;
      leaves = true;
      wanted.insert(cover[reader]->in);
    }
    if (value == retained && !leaves) return impossible;
    if (value == graph.output || value == retained) wanted.insert(LayoutId::nhwc);
    wanted.erase(made);
    us += static_cast<double>(wanted.size()) * current.conversion_us;
  }
  return us;
}

/// The cheapest of all covers.
double best_us(const Graph& graph, std::vector<const Entry*>& cover, std::vector<bool>& covered, NodeId retained) {
  const auto hole = std::find(covered.begin() + 1, covered.end(), false);
  if (hole == covered.end()) return cover_us(graph, cover, retained);
  const auto node = static_cast<NodeId>(hole - covered.begin());
  double best = impossible;
  for (int i = 0; i < current.count; ++i) {
    const Entry& entry = current.entries[static_cast<std::size_t>(i)];
    const auto taken = [&](NodeId n) { return covered[static_cast<std::size_t>(n)]; };
    if (entry.nodes.front() != node || std::any_of(entry.nodes.begin(), entry.nodes.end(), taken)) continue;
    for (const NodeId n : entry.nodes) covered[static_cast<std::size_t>(n)] = true;
    cover.push_back(&entry);
    best = std::min(best, best_us(graph, cover, covered, retained));
    cover.pop_back();
    for (const NodeId n : entry.nodes) covered[static_cast<std::size_t>(n)] = false;
  }
  return best;
}

TEST(CheapestCover, EqualsTheBestOfAllCovers) {
  const auto implementations = all_entries(std::make_integer_sequence<int, max_entries>());
  std::vector<const Implementation*> list;
  for (const auto& implementation : implementations) list.push_back(&implementation);
  Random random(11);
  int with_sets = 0, with_conversions = 0;
  for (int round = 0; round < 3000; ++round) {
    const Graph graph = random_graph(random);
    current = random_case(random, graph);
    const NodeId retained = below(random, 3) == 0 ? 1 + below(random, graph.size() - 1) : -1;
    PlanOptions options;
    if (retained > 0) options.retain_names = {graph.node(retained).value_name()};

    std::vector<const Entry*> cover;
    std::vector<bool> covered(graph.nodes.size());
    const double best = best_us(graph, cover, covered, retained);
    const std::vector<Dims> shapes = infer_shapes(graph, 1, 2, 2);
    double us = 0;
    std::vector<int> times_covered(graph.nodes.size());
    for (const ChosenStep& step : select_steps(graph, shapes, list, &conversion, DeviceInfo{}, options)) {
      us += step.estimate_us;
      for (const NodeId node : step.problem.nodes) ++times_covered[static_cast<std::size_t>(node)];
      with_sets += step.problem.nodes.size() > 1 ? 1 : 0;
      with_conversions += step.problem.nodes.empty() ? 1 : 0;
    }
    ASSERT_NEAR(us, best, 1e-6) << "in round " << round;
    ASSERT_EQ(std::count(times_covered.begin() + 1, times_covered.end(), 1), graph.size() - 1) << "in round " << round;
  }
  EXPECT_GT(with_sets, 500) << "the cases are too tame";
  EXPECT_GT(with_conversions, 500) << "the cases are too tame";
}

}  // namespace
}  // namespace resnet
