#include <gtest/gtest.h>

#include <algorithm>

#include "base/check.hpp"
#include "plan/plan.hpp"
#include "unit/plan/test_graphs.hpp"

namespace resnet {
namespace {

using test::small_graph;
using Nodes = std::vector<NodeId>;
using List = std::vector<const Implementation*>;

Support yes(const StepProblem&, const DeviceInfo&) { return Support::yes(); }

template <int us>
double takes(const StepProblem&, const DeviceInfo&) {
  return us;
}

Nodes each(const Graph&, NodeId first) { return {first}; }

/// An entry for every single node.
template <int us>
Implementation single(std::string_view name) {
  return {name, each, yes, takes<us>, nullptr, nullptr, nullptr};
}

std::vector<ChosenStep> select(const Graph& graph, const List& list, const PlanOptions& options = {},
                               const Implementation* conversion = nullptr) {
  static std::vector<Dims> shapes;  // problems point to it
  shapes = infer_shapes(graph, 1, 4, 4);
  return select_steps(graph, shapes, list, conversion, DeviceInfo{}, options);
}

std::string text(const std::vector<ChosenStep>& steps) {
  std::string line;
  for (const ChosenStep& step : steps) {
    line += (line.empty() ? "" : " ") + std::string(step.implementation->name) + '(';
    for (const NodeId node : step.problem.nodes) line += step.problem.graph->node(node).name;
    if (step.problem.nodes.empty()) line += step.problem.graph->node(step.problem.inputs[0]).name;
    line += ')';
  }
  return line;
}

std::string reason(const ChosenStep& step, std::string_view implementation) {
  for (const Refusal& refusal : step.refusals) {
    if (refusal.implementation == implementation) return refusal.reason;
  }
  return "(no refusal of " + std::string(implementation) + ")";
}

Graph chain() { return small_graph({{"a", "relu", {"x"}}, {"b", "sigmoid", {"a"}}, {"c", "silu", {"b"}}}, "c"); }

TEST(Selection, TakesTheCheapestEntry) {
  const Graph graph = chain();
  const auto slow = single<9>("slow"), fast = single<5>("fast");
  const auto steps = select(graph, {&slow, &fast});
  EXPECT_EQ(text(steps), "fast(a) fast(b) fast(c)");
  EXPECT_EQ(reason(steps[0], "slow"), "takes 9 us, the chosen entry 5 us");
}

TEST(Selection, BreaksTiesByTheOrderOfTheList) {
  const Graph graph = chain();
  const auto one = single<5>("one"), two = single<5>("two");
  EXPECT_EQ(text(select(graph, {&one, &two})), "one(a) one(b) one(c)");
  const auto steps = select(graph, {&two, &one});
  EXPECT_EQ(text(steps), "two(a) two(b) two(c)");
  EXPECT_EQ(reason(steps[1], "one"), "takes 5 us like the chosen entry, which stands earlier in the list");
}

TEST(Selection, FindsTheCheapestCoverWhereTheBestFirstStepMisleads) {
  const Graph graph = chain();
  // Node by node, head (3 us for two nodes) beats everything at a; but then c costs 10.
  const Implementation head{
      "head",  [](const Graph& g, NodeId first) { return g.node(first).name == "a" ? Nodes{1, 2} : Nodes{}; },
      yes,     takes<3>,
      nullptr, nullptr,
      nullptr};
  const Implementation tail{
      "tail",  [](const Graph& g, NodeId first) { return g.node(first).name == "b" ? Nodes{2, 3} : Nodes{}; },
      yes,     takes<1>,
      nullptr, nullptr,
      nullptr};
  const auto one = single<10>("one");
  const auto steps = select(graph, {&head, &tail, &one});
  EXPECT_EQ(text(steps), "one(a) tail(bc)");
  EXPECT_EQ(reason(steps[0], "head"), "takes 3 us for a + b; the cheapest cover has a in 10 us");
  EXPECT_EQ(reason(steps[1], "one"), "takes 10 us for b; the cheapest cover has b + c in 1 us");
}

TEST(Selection, LetsAMeasuredTimeOverrideTheEstimate) {
  const Graph graph = chain();
  const auto slow = single<9>("slow"), fast = single<5>("fast");
  const std::string b = problem_text(select(graph, {&slow})[1].problem);
  MeasuredTimes measured{{{"slow", b}, 1.5}};
  PlanOptions options;
  options.measured = &measured;
  const auto steps = select(graph, {&slow, &fast}, options);
  EXPECT_EQ(text(steps), "fast(a) slow(b) fast(c)");
  EXPECT_EQ(steps[1].estimate_us, 1.5);
  EXPECT_TRUE(steps[1].measured);
  options.deterministic = true;  // else the batch would decide, for a time holds for one
  measured = {{{"slow", problem_text(select(graph, {&slow}, options)[1].problem)}, 1.5}};
  EXPECT_EQ(text(select(graph, {&slow, &fast}, options)), "fast(a) fast(b) fast(c)");
  EXPECT_FALSE(steps[0].measured);
}

/// Takes sigmoid and silu, dearly.
const Implementation no_relu{"dear",
                             each,
                             [](const StepProblem& problem, const DeviceInfo&) {
                               return problem.node().op->name == "relu" ? Support::no("no relu") : Support::yes();
                             },
                             takes<100>,
                             nullptr,
                             nullptr,
                             nullptr};

TEST(Selection, TakesAForcedEntryWhereverItCan) {
  const Graph graph = chain();
  const auto fast = single<5>("fast");
  PlanOptions options;
  options.forced = {"dear"};
  const auto steps = select(graph, {&fast, &no_relu}, options);
  EXPECT_EQ(text(steps), "fast(a) dear(b) dear(c)");
  EXPECT_EQ(reason(steps[0], "dear"), "no relu");
  EXPECT_EQ(reason(steps[1], "fast"), "another implementation was forced");
}

TEST(Selection, LetsAForcedSetPushOutWhatCoversPartOfIt) {
  const Graph graph = chain();
  const Implementation pair{
      "pair",  [](const Graph& g, NodeId first) { return g.node(first).name == "a" ? Nodes{1, 2} : Nodes{}; },
      yes,     takes<100>,
      nullptr, nullptr,
      nullptr};
  const auto one = single<1>("one");
  PlanOptions options;
  options.forced = {"pair"};
  EXPECT_EQ(text(select(graph, {&one, &pair}, options)), "pair(ab) one(c)");
  options.forced = {"pair", "one"};  // the cheaper of the forced
  EXPECT_EQ(text(select(graph, {&one, &pair}, options)), "one(a) one(b) one(c)");
}

TEST(Selection, LeavesAForbiddenEntryOutAndSaysWhy) {
  const Graph graph = chain();
  const auto fast = single<5>("fast"), slow = single<9>("slow");
  PlanOptions options;
  options.refused = {{"fast", "forbidden by the caller"}};
  const auto steps = select(graph, {&fast, &slow}, options);
  EXPECT_EQ(text(steps), "slow(a) slow(b) slow(c)");
  EXPECT_EQ(reason(steps[2], "fast"), "forbidden by the caller");
  options.refused.emplace("slow", "failed its self-test");
  try {
    select(graph, {&fast, &slow}, options);
    ADD_FAILURE() << "a layer without an entry was planned";
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("fast: forbidden by the caller; slow: failed its self-test"), std::string::npos) << what;
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
  }
}

TEST(Selection, DoesNotForceWhatIsForbidden) {
  const Graph graph = chain();
  const auto fast = single<5>("fast"), slow = single<9>("slow");
  PlanOptions options;
  options.forced = {"slow"};
  options.refused = {{"slow", "failed its self-test"}};
  EXPECT_EQ(text(select(graph, {&fast, &slow}, options)), "fast(a) fast(b) fast(c)");
}

TEST(Selection, KeepsTheReasonOfEveryRefusal) {
  const Graph graph = chain();
  const Implementation picky{"picky",
                             each,
                             [](const StepProblem& problem, const DeviceInfo&) {
                               return problem.input_descs[0].dims.c % 16 == 0
                                          ? Support::yes()
                                          : Support::no("c must be a multiple of 16, is 8");
                             },
                             takes<1>,
                             nullptr,
                             nullptr,
                             nullptr};
  const auto one = single<10>("one");
  const auto steps = select(graph, {&picky, &one});
  for (const auto& step : steps) EXPECT_EQ(reason(step, "picky"), "c must be a multiple of 16, is 8");
}

TEST(Selection, NamesLayerAndRefusalsWhereNothingFits) {
  const Graph graph = chain();
  const Implementation never{"never",
                             each,
                             [](const StepProblem& p, const DeviceInfo&) {
                               return p.node().name == "b" ? Support::no("no sigmoid unit") : Support::yes();
                             },
                             takes<1>,
                             nullptr,
                             nullptr,
                             nullptr};
  try {
    select(graph, {&never});
    FAIL() << "b has no entry";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_EQ(error.where(), "layer b");
    EXPECT_EQ(error.message(), "nothing computes this sigmoid in fp32 (never: no sigmoid unit)");
  }
}

TEST(Selection, SaysSoWhereNoEntryKnowsTheOp) {
  const Graph graph = chain();
  const Implementation other{
      "other", [](const Graph& g, NodeId first) { return g.node(first).name != "c" ? Nodes{first} : Nodes{}; },
      yes,     takes<1>,
      nullptr, nullptr,
      nullptr};
  try {
    select(graph, {&other});
    FAIL() << "c has no entry";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("no entry of the backend's list matches it"), std::string::npos) << error.what();
  }
}

/// Two sets that a test names, beside single entries of 10 us.
template <NodeId... nodes>
Nodes exactly(const Graph&, NodeId first) {
  const Nodes set{nodes...};
  return set.front() == first ? set : Nodes{};
}

TEST(Selection, RefusesASetAroundALayerOutsideIt) {
  const Graph graph = small_graph({{"a", "relu", {"x"}}, {"b", "sigmoid", {"a"}}, {"c", "add", {"a", "b"}}}, "c");
  const Implementation ring{"ring", exactly<1, 3>, yes, takes<1>, nullptr, nullptr, nullptr};
  const auto one = single<10>("one");
  const auto steps = select(graph, {&ring, &one});
  EXPECT_EQ(text(steps), "one(a) one(b) one(c)");
  EXPECT_EQ(reason(steps[0], "ring"), "b lies between the layers of the set");
}

TEST(Selection, NeverLetsTwoSetsWaitForEachOther) {
  // a -> c, b -> d: {a, d} and {b, c} are fine alone; together each needs the other first.
  const Graph graph = small_graph({{"a", "relu", {"x"}},
                                   {"b", "sigmoid", {"x"}},
                                   {"c", "silu", {"a"}},
                                   {"d", "relu6", {"b"}},
                                   {"e", "add", {"c", "d"}}},
                                  "e");
  const Implementation outer{"outer", exactly<1, 4>, yes, takes<1>, nullptr, nullptr, nullptr};
  const Implementation inner{"inner", exactly<2, 3>, yes, takes<2>, nullptr, nullptr, nullptr};
  const auto one = single<10>("one");
  EXPECT_EQ(text(select(graph, {&outer, &one})), "one(b) outer(ad) one(c) one(e)") << "b first: the set waits for it";
  EXPECT_EQ(text(select(graph, {&inner, &one})), "one(a) inner(bc) one(d) one(e)");
  const auto steps = select(graph, {&outer, &inner, &one});
  EXPECT_EQ(text(steps), "one(b) outer(ad) one(c) one(e)");
  EXPECT_EQ(reason(steps[0], "inner"), "together with another chosen step it would wait for itself");
}

TEST(Selection, SeesACycleThroughASetThatEndedBefore) {
  // a -> c, b -> d, e -> f: {a, f}, {b, c} and {d, e} wait for each other in a ring. {b, c} has ended when {d, e}
  // begins.
  const Graph graph = small_graph({{"a", "relu", {"x"}},
                                   {"b", "sigmoid", {"x"}},
                                   {"c", "silu", {"a"}},
                                   {"d", "relu6", {"b"}},
                                   {"e", "relu", {"x"}},
                                   {"f", "silu", {"e"}},
                                   {"g", "add", {"c", "d"}},
                                   {"h", "add", {"f", "g"}}},
                                  "h");
  const Implementation longest{"longest", exactly<1, 6>, yes, takes<1>, nullptr, nullptr, nullptr};
  const Implementation ended{"ended", exactly<2, 3>, yes, takes<2>, nullptr, nullptr, nullptr};
  const Implementation late{"late", exactly<4, 5>, yes, takes<3>, nullptr, nullptr, nullptr};
  const auto one = single<10>("one");
  const auto steps = select(graph, {&longest, &ended, &late, &one});
  EXPECT_EQ(text(steps), "one(e) longest(af) ended(bc) one(d) one(g) one(h)");
  const auto d =
      std::find_if(steps.begin(), steps.end(), [](const ChosenStep& step) { return step.problem.nodes == Nodes{4}; });
  ASSERT_NE(d, steps.end());
  EXPECT_EQ(reason(*d, "late"), "together with another chosen step it would wait for itself");
}

TEST(Selection, KeepsARetainedValueOutOfASet) {
  const Graph graph = chain();
  const Implementation pair{"pair", exactly<1, 2>, yes, takes<1>, nullptr, nullptr, nullptr};
  const auto one = single<10>("one");
  EXPECT_EQ(text(select(graph, {&pair, &one})), "pair(ab) one(c)");
  PlanOptions options;
  options.retain_names = {"a"};
  const auto steps = select(graph, {&pair, &one}, options);
  EXPECT_EQ(text(steps), "one(a) one(b) one(c)");
  EXPECT_EQ(reason(steps[0], "pair"), "the set would swallow a, which is retained");
}

TEST(Selection, GivesASetOneOutputPerValueThatIsUsedOutside) {
  const Graph graph = small_graph({{"a", "relu", {"x"}}, {"b", "sigmoid", {"x"}}, {"c", "add", {"a", "b"}}}, "c");
  const Implementation twins{"twins", exactly<1, 2>, yes, takes<1>, nullptr, nullptr, nullptr};
  const auto one = single<10>("one");
  const auto steps = select(graph, {&twins, &one});
  EXPECT_EQ(text(steps), "twins(ab) one(c)");
  EXPECT_EQ(steps[0].problem.inputs, Nodes{0}) << "an input that two nodes read is listed once";
  EXPECT_EQ(steps[0].problem.outputs, (Nodes{1, 2}));
  EXPECT_EQ(steps[1].problem.inputs, (Nodes{1, 2}));
}

std::vector<AliasRule> over_first_input(const StepProblem&) { return {{0, 0, true}}; }

TEST(Selection, TakesTheNextEntryWhereARequiredAliasIsIllegal) {
  const Implementation in_place{"in_place", each, yes, takes<1>, nullptr, over_first_input, nullptr};
  const auto one = single<10>("one");
  const Graph graph =
      small_graph({{"a", "relu", {"x"}}, {"b", "sigmoid", {"a"}}, {"c", "silu", {"b"}}, {"d", "add", {"c", "b"}}}, "d");
  const auto steps = select(graph, {&in_place, &one});
  EXPECT_EQ(text(steps), "one(a) in_place(b) one(c) in_place(d)");
  EXPECT_EQ(reason(steps[0], "in_place"), "must write over the network's input");
  EXPECT_EQ(reason(steps[2], "in_place"), "must write over b, which other layers read");

  PlanOptions options;
  options.retain_names = {"a"};
  const auto retaining = select(graph, {&in_place, &one}, options);
  EXPECT_EQ(reason(retaining[1], "in_place"), "must write over a, which is retained");
}

TEST(Selection, TakesTheNextEntryWhereARequiredAliasHasAnotherSize) {
  const Graph graph = small_graph({{"a", "relu", {"x"}}, {"p", "global_avg_pool", {"a"}}}, "p");
  const Implementation in_place{"in_place", each, yes, takes<1>, nullptr, over_first_input, nullptr};
  const auto one = single<10>("one");
  EXPECT_EQ(reason(select(graph, {&in_place, &one})[1], "in_place"),
            "must write over a, which has another size than the output");
}

/// Takes problems of one precision, inputs in its type only.
template <Precision precision, DType dtype>
Support only_in(const StepProblem& problem, const DeviceInfo&) {
  if (problem.precision != precision) return Support::no("another precision");
  if (problem.input_descs[0].dtype != dtype) return Support::no("another type arrives");
  return Support::yes();
}

TEST(Selection, ComputesALayerInThePrecisionOfItsOverride) {
  const Graph graph = chain();
  const Implementation half{"half", each, only_in<Precision::bf16, DType::bf16>, takes<1>, nullptr, nullptr, nullptr};
  const Implementation full{"full", each, only_in<Precision::fp32, DType::f32>, takes<1>, nullptr, nullptr, nullptr};
  const Implementation cast{"cast", nullptr, yes, takes<1>, nullptr, nullptr, nullptr};
  PlanOptions options;
  options.layer_precision = {{"b", Precision::bf16}};
  const auto steps = select(graph, {&half, &full}, options, &cast);
  ASSERT_EQ(text(steps), "full(a) cast(a) half(b) cast(b) full(c)");
  EXPECT_EQ(steps[2].problem.input_descs[0].dtype, DType::bf16);
  EXPECT_EQ(steps[4].problem.input_descs[0].dtype, DType::f32);
}

TEST(Selection, RefusesASetOfTwoPrecisions) {
  const Graph graph = chain();
  const Implementation pair{"pair", exactly<1, 2>, yes, takes<1>, nullptr, nullptr, nullptr};
  const auto one = single<10>("one");
  const Implementation cast{"cast", nullptr, yes, takes<1>, nullptr, nullptr, nullptr};
  PlanOptions options;
  options.layer_precision = {{"b", Precision::bf16}};
  EXPECT_EQ(reason(select(graph, {&pair, &one}, options, &cast)[0], "pair"), "b has another precision than a");
}

/// An entry that works in a private layout.
StepDescs blocked(const StepProblem& problem, const DeviceInfo&) {
  StepDescs descs{problem.input_descs, problem.output_descs};
  for (auto* list : {&descs.inputs, &descs.outputs}) {
    for (ValueDesc& desc : *list) desc.layout = LayoutId::first_opaque;
  }
  return descs;
}

TEST(Selection, ConvertsWhereLayoutsDifferAndAtBothEnds) {
  const Graph graph = chain();
  const Implementation tiled{"tiled", each, yes, takes<1>, blocked, nullptr, nullptr};
  const Implementation reorder{"reorder", nullptr, yes, takes<2>, nullptr, nullptr, nullptr};
  const auto one = single<10>("one");
  const auto steps = select(graph, {&tiled, &one}, {}, &reorder);
  EXPECT_EQ(text(steps), "reorder(x) tiled(a) tiled(b) tiled(c) reorder(c)");
  EXPECT_EQ(steps.back().problem.output_descs[0].layout, LayoutId::nhwc);
}

TEST(Selection, CountsConversionsIntoTheCost) {
  const Graph graph = chain();
  const Implementation tiled{"tiled", each, yes, takes<1>, blocked, nullptr, nullptr};
  const Implementation dear{"dear", nullptr, yes, takes<20>, nullptr, nullptr, nullptr};
  const auto one = single<10>("one");
  const auto steps = select(graph, {&tiled, &one}, {}, &dear);
  EXPECT_EQ(text(steps), "one(a) one(b) one(c)") << "3 + 2 x 20 us against 30 us";
  EXPECT_EQ(reason(steps[0], "tiled"), "takes 21 us, the chosen entry 10 us");
}

TEST(Selection, ConvertsAValueOnceForAllItsReaders) {
  const Graph graph =
      small_graph({{"a", "relu", {"x"}}, {"b", "sigmoid", {"a"}}, {"c", "silu", {"a"}}, {"d", "add", {"b", "c"}}}, "d");
  const auto only = [](const Graph& g, NodeId first) {
    const auto& name = g.node(first).name;
    return name == "b" || name == "c" ? Nodes{first} : Nodes{};
  };
  const auto from_blocked = [](const StepProblem& problem, const DeviceInfo& device) {
    return StepDescs{blocked(problem, device).inputs, problem.output_descs};
  };
  const Implementation reads_tiles{"reads_tiles", only, yes, takes<1>, from_blocked, nullptr, nullptr};
  const Implementation reorder{"reorder", nullptr, yes, takes<2>, nullptr, nullptr, nullptr};
  const auto one = single<10>("one");
  EXPECT_EQ(text(select(graph, {&reads_tiles, &one}, {}, &reorder)),
            "one(a) reorder(a) reads_tiles(b) reads_tiles(c) one(d)");
}

TEST(Selection, LeavesAnEntryOutWhoseLayoutNothingConverts) {
  const Graph graph = chain();
  const Implementation tiled{"tiled", each, yes, takes<1>, blocked, nullptr, nullptr};
  const auto one = single<10>("one");
  const auto steps = select(graph, {&tiled, &one});
  EXPECT_EQ(text(steps), "one(a) one(b) one(c)");
  EXPECT_EQ(reason(steps[0], "tiled"), "the backend has no conversion from 1x4x4x8 f32 to 1x4x4x8 f32 layout16");
}

TEST(Selection, OffersEntriesTheLayoutThatArrivesBesidesThePlainOne) {
  // b takes any layout as it comes; without the offer of the arriving one it would need two conversions.
  const Graph graph = chain();
  const Implementation tiled{"tiled", exactly<1>, yes, takes<1>, blocked, nullptr, nullptr};
  const auto same = [](const StepProblem& problem, const DeviceInfo&) {
    StepDescs descs{problem.input_descs, problem.output_descs};
    descs.outputs[0].layout = descs.inputs[0].layout;
    return descs;
  };
  const Implementation any{"any", exactly<2>, yes, takes<1>, same, nullptr, nullptr};
  const Implementation last{"last", exactly<3>, yes, takes<1>, blocked, nullptr, nullptr};
  const Implementation reorder{"reorder", nullptr, yes, takes<2>, nullptr, nullptr, nullptr};
  EXPECT_EQ(text(select(graph, {&tiled, &any, &last}, {}, &reorder)), "reorder(x) tiled(a) any(b) last(c) reorder(c)");
}

TEST(Selection, MakesRetainedValuesReadable) {
  const Graph graph = chain();
  const Implementation tiled{"tiled", each, yes, takes<1>, blocked, nullptr, nullptr};
  const Implementation reorder{"reorder", nullptr, yes, takes<2>, nullptr, nullptr, nullptr};
  PlanOptions options;
  options.retain_names = {"a"};
  EXPECT_EQ(text(select(graph, {&tiled}, options, &reorder)),
            "reorder(x) tiled(a) reorder(a) tiled(b) tiled(c) reorder(c)");
}

TEST(Selection, NeedsNoStepWhereTheOutputIsTheInput) { EXPECT_TRUE(select(small_graph({}, "x"), {}).empty()); }

TEST(ProblemText, IsTheSameForEqualWorkUnderOtherNames) {
  const Graph graph =
      small_graph({{"a", "relu", {"x"}}, {"b", "relu", {"a"}}, {"c", "sigmoid", {"b"}}, {"d", "add", {"c", "b"}}}, "d");
  const auto one = single<1>("one");
  const auto steps = select(graph, {&one});
  EXPECT_EQ(problem_text(steps[0].problem), problem_text(steps[1].problem));
  EXPECT_NE(problem_text(steps[0].problem), problem_text(steps[2].problem)) << "another op";
  PlanOptions bf16;
  bf16.precision = Precision::bf16;
  const Implementation cast{"cast", nullptr, yes, takes<1>, nullptr, nullptr, nullptr};
  EXPECT_NE(problem_text(steps[0].problem), problem_text(select(graph, {&one}, bf16, &cast)[0].problem))
      << "another precision";
}

}  // namespace
}  // namespace resnet
