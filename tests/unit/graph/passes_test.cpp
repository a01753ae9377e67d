#include "graph/passes.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace resnet {
namespace {

using Ints = std::vector<std::int64_t>;
using Text = std::string;

/// A network written layer by layer; every weight gets a tensor of the right shape.
class Net {
 public:
  explicit Net(std::int64_t size = 8, std::int64_t channels = 4) {
    layers_.push_back({"x", "input", {}, {{"channels", channels}, {"height", size}, {"width", size}}, {}});
  }
  /// Input C -> K with a square kernel.
  Net& conv(Text name, Text input, std::int64_t K = 4, std::int64_t kernel = 1, AttrMap attrs = {}, bool bias = false,
            std::int64_t C = 4) {
    layers_.push_back(
        {name, "conv2d", {input}, std::move(attrs), {{"weight", tensor(name + ".w", {K, kernel, kernel, C})}}});
    if (bias) layers_.back().weights["bias"] = tensor(name + ".b", {K});
    return *this;
  }
  Net& bn(Text name, Text input, std::int64_t C = 4) {
    layers_.push_back({name, "batch_norm", {input}, {{"eps", 0.25}}, {}});
    for (const Text role : {"gamma", "beta", "mean", "var"})
      layers_.back().weights[role] = tensor(name + "." + role, {C});
    return *this;
  }
  Net& dense(Text name, Text input, std::int64_t C, std::int64_t K = 2, bool bias = false) {
    layers_.push_back({name, "dense", {input}, {}, {{"weight", tensor(name + ".w", {K, C})}}});
    if (bias) layers_.back().weights["bias"] = tensor(name + ".b", {K});
    return *this;
  }
  Net& op(Text op_name, Text name, std::vector<Text> inputs, AttrMap attrs = {}) {
    layers_.push_back({std::move(name), std::move(op_name), std::move(inputs), std::move(attrs), {}});
    return *this;
  }
  Graph build() const { return build_graph(layers_, layers_.back().name, tensors_); }

 private:
  Text tensor(Text name, TensorShape shape) {
    tensors_[name] = {DType::f32, std::move(shape)};
    return name;
  }
  std::vector<LayerSpec> layers_;
  TensorTable tensors_;
};

/// The dump without the input's line.
Text lines(const Graph& graph) {
  const Dims dims = graph.input_dims();
  const Text text = dump(graph, infer_shapes(graph, 1, dims.h, dims.w));
  return text.substr(text.find('\n') + 1);
}
Text optimised(const Net& net, std::set<Text, std::less<>> keep = {}) {
  return lines(optimise(net.build(), {std::move(keep)}));
}
Text after_pass(std::string_view name, Graph graph, const PassOptions& options = {}) {
  for (const Pass& pass : graph_passes()) {
    if (pass.name == name) return lines(pass.run(std::move(graph), options));
  }
  return "no such pass";
}

const Node& node_named(const Graph& graph, std::string_view name) {
  return *std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.name == name; });
}

TEST(Optimise, TurnsABottleneckWithProjectionIntoFourConvolutions) {
  Net net;
  net.conv("c1", "x").bn("b1", "c1").op("relu", "r1", {"b1"});
  net.conv("c2", "r1", 4, 3, {{"padding", Text("same")}}).bn("b2", "c2").op("relu", "r2", {"b2"});
  net.conv("c3", "r2", 8).bn("b3", "c3", 8);
  net.conv("down", "x", 8).bn("bd", "down", 8);
  net.op("add", "sum", {"b3", "bd"}).op("relu", "out", {"sum"});
  EXPECT_EQ(lines(net.build()),
            "c1 conv2d <- x [1x8x8x4]\n"
            "b1 batch_norm(eps=0.25) <- c1 [1x8x8x4]\n"
            "r1 relu <- b1 [1x8x8x4]\n"
            "c2 conv2d(padding=same) <- r1 [1x8x8x4]\n"
            "b2 batch_norm(eps=0.25) <- c2 [1x8x8x4]\n"
            "r2 relu <- b2 [1x8x8x4]\n"
            "c3 conv2d <- r2 [1x8x8x8]\n"
            "b3 batch_norm(eps=0.25) <- c3 [1x8x8x8]\n"
            "down conv2d <- x [1x8x8x8]\n"
            "bd batch_norm(eps=0.25) <- down [1x8x8x8]\n"
            "sum add <- b3, bd [1x8x8x8]\n"
            "out relu <- sum [1x8x8x8]\n");
  EXPECT_EQ(optimised(net),
            "c1 conv2d <- x [1x8x8x4] + batch_norm + relu -> r1\n"
            "c2 conv2d(padding=same) <- r1 [1x8x8x4] + batch_norm + relu -> r2\n"
            "c3 conv2d <- r2 [1x8x8x8] + batch_norm -> b3\n"
            "down conv2d <- x [1x8x8x8] + batch_norm + add(b3) + relu -> out\n");
  const Graph graph = optimise(net.build(), {});
  EXPECT_EQ(node_named(graph, "down").layers, (std::vector<Text>{"down", "bd", "sum", "out"}));
  EXPECT_EQ(graph.node(graph.output).value_name(), "out");
}

TEST(Optimise, IsPure) {
  Net net;
  net.conv("c", "x").bn("b", "c").op("relu", "r", {"b"});
  const Graph graph = net.build();
  const Text before = lines(graph);
  optimise(graph, {});
  EXPECT_EQ(lines(graph), before);
  EXPECT_EQ(lines(optimise(optimise(graph, {}), {})), lines(optimise(graph, {}))) << "a second time changes nothing";
}

TEST(RemoveIdentity, RewiresConsumersAndRemembersTheName) {
  Net net;
  net.conv("c", "x").op("identity", "drop", {"c"}).op("identity", "drop2", {"drop"}).op("relu", "r", {"drop2"});
  const Graph graph = optimise(net.build(), {});
  EXPECT_EQ(lines(graph), "c conv2d <- x [1x8x8x4] + relu -> r\n");
  EXPECT_EQ(graph.node(1).layers, (std::vector<Text>{"c", "drop", "drop2", "r"}));
}

TEST(RemoveIdentity, KeepsTheInputsName) {
  Net net;
  net.op("identity", "drop", {"x"}).op("softmax", "s", {"drop"});
  const Graph graph = optimise(net.build(), {});
  EXPECT_EQ(lines(graph), "s softmax <- x [1x8x8x4]\n");
  EXPECT_EQ(graph.node(0).value_name(), "x");
}

TEST(RemoveIdentity, LeavesKeptNames) {
  Net net;
  net.op("softmax", "s", {"x"}).op("identity", "drop", {"s"}).op("softmax", "t", {"drop"});
  const Text untouched = lines(net.build());
  EXPECT_EQ(optimised(net, {"drop"}), untouched);
  EXPECT_EQ(optimised(net, {"s"}), untouched);
  EXPECT_NE(optimised(net), untouched);
}

TEST(RemoveIdentity, TakesTheOutput) {
  Net net;
  net.op("softmax", "s", {"x"}).op("identity", "drop", {"s"});
  EXPECT_EQ(optimised(net), "s softmax <- x [1x8x8x4] -> drop\n");
}

TEST(RemoveIdentity, TakesAFlattenOfWhatHasOnePositionAtEverySize) {
  for (const Text order : {"nhwc", "nchw"}) {
    Net net;
    net.op("global_avg_pool", "pool", {"x"}).op("relu", "r", {"pool"}).op("flatten", "f", {"r"}, {{"order", order}});
    net.dense("fc", "f", 4);
    EXPECT_EQ(optimised(net),
              "pool global_avg_pool <- x [1x1x1x4]\n"
              "r relu <- pool [1x1x1x4] -> f\n"
              "fc dense <- f [1x1x1x2]\n");
  }
  Net net(1);  // one position here, more at another size
  net.op("relu", "r", {"x"}).op("flatten", "f", {"r"}, {{"order", Text("nchw")}}).op("softmax", "s", {"f"});
  EXPECT_EQ(optimised(net), lines(net.build()));
}

TEST(DropDead, RemovesWhatDoesNotLeadToTheOutput) {
  Net net;
  net.conv("c", "x").op("relu", "r", {"c"}).op("softmax", "s", {"c"});
  Graph graph = net.build();
  EXPECT_EQ(lines(graph), "c conv2d <- x [1x8x8x4]\ns softmax <- c [1x8x8x4]\n");
  graph.output = 1;
  EXPECT_EQ(after_pass("drop_dead", graph), "c conv2d <- x [1x8x8x4]\n");
}

TEST(BiasToEpilogue, ComesBeforeTheBatchNorm) {
  Net net;
  net.conv("c", "x", 4, 1, {}, true).bn("b", "c").op("flatten", "f", {"b"}).dense("fc", "f", 256, 2, true);
  const Graph graph = optimise(net.build(), {});
  EXPECT_EQ(lines(graph),
            "c conv2d <- x [1x8x8x4] + bias + batch_norm -> b\n"
            "f flatten <- b [1x1x1x256]\n"
            "fc dense <- f [1x1x1x2] + bias\n");
  const Node& conv = node_named(graph, "c");
  EXPECT_EQ(conv.weights, (std::vector<Text>{"c.w", ""}));
  const AffineStage bias{AffineStage::Kind::bias, "c", "c.b", "", "", "", "", 0};
  const AffineStage norm{AffineStage::Kind::batch_norm, "b", "", "b.gamma", "b.beta", "b.mean", "b.var", 0.25};
  EXPECT_EQ(conv.epilogue.affine, (std::vector<AffineStage>{bias, norm}));
  const EpilogueProblem problem = epilogue_problem(conv);
  EXPECT_TRUE(problem.scale && problem.shift && !problem.residual);
  const EpilogueProblem fc = epilogue_problem(node_named(graph, "fc"));
  EXPECT_TRUE(!fc.scale && fc.shift);
}

TEST(FoldScaleShift, LeavesAConstantNormAtTheInputAlone) {
  Net net;
  net.bn("scale", "x").conv("c", "scale");
  EXPECT_EQ(optimised(net), "scale scale_shift <- x [1x8x8x4] + batch_norm\nc conv2d <- scale [1x8x8x4]\n");
}

TEST(FoldScaleShift, JoinsTwoNormsInARow) {
  Net net;
  net.op("softmax", "s", {"x"}).bn("b1", "s").bn("b2", "b1").op("relu", "r", {"b2"});
  EXPECT_EQ(optimised(net),
            "s softmax <- x [1x8x8x4]\nb1 scale_shift <- s [1x8x8x4] + batch_norm + batch_norm + relu -> r\n");
}

TEST(FoldScaleShift, LeavesASharedConvolutionAlone) {
  Net net;
  net.conv("c", "x").bn("b", "c").op("add", "sum", {"b", "c"});
  EXPECT_EQ(optimised(net),
            "c conv2d <- x [1x8x8x4]\n"
            "b scale_shift <- c [1x8x8x4] + batch_norm\n"
            "sum add <- b, c [1x8x8x4]\n");
}

TEST(FoldScaleShift, DoesNotPassAnActivationOrAResidual) {
  Net net;
  net.conv("c", "x").op("relu", "r", {"c"}).bn("b", "r");
  EXPECT_EQ(optimised(net), "c conv2d <- x [1x8x8x4] + relu -> r\nb scale_shift <- r [1x8x8x4] + batch_norm\n");
  Net second;
  second.conv("c", "x").op("add", "sum", {"c", "x"}).bn("b", "sum");
  EXPECT_EQ(optimised(second),
            "c conv2d <- x [1x8x8x4] + add(x) -> sum\nb scale_shift <- sum [1x8x8x4] + batch_norm\n");
}

TEST(FoldScaleShift, LeavesAKeptConvolutionAlone) {
  Net net;
  net.conv("c", "x").bn("b", "c").op("relu", "r", {"b"});
  EXPECT_EQ(optimised(net, {"c"}), "c conv2d <- x [1x8x8x4]\nb scale_shift <- c [1x8x8x4] + batch_norm + relu -> r\n");
  EXPECT_EQ(optimised(net, {"b"}), "c conv2d <- x [1x8x8x4] + batch_norm -> b\nr relu <- b [1x8x8x4]\n");
  EXPECT_EQ(optimised(net, {"r"}), "c conv2d <- x [1x8x8x4] + batch_norm + relu -> r\n");
}

TEST(FoldZeroPad, AddsToExplicitAndValidPadding) {
  Net net;
  net.op("pad", "p", {"x"}, {{"pads", Ints{1, 2, 3, 4}}}).conv("c", "p", 4, 3);
  EXPECT_EQ(optimised(net), "c conv2d(padding=explicit, pads=[1,2,3,4]) <- x [1x10x12x4]\n");
  EXPECT_EQ(optimise(net.build(), {}).node(1).layers, (std::vector<Text>{"p", "c"}));
  Net chain;
  chain.op("pad", "p", {"x"}, {{"pads", Ints{1, 2, 3, 4}}}).op("pad", "q", {"p"}, {{"pads", Ints{0, 0, 1, 1}}});
  chain.conv("c", "q", 4, 3, {{"padding", Text("explicit")}, {"pads", Ints{1, 1, 1, 1}}});
  EXPECT_EQ(optimised(chain), "c conv2d(padding=explicit, pads=[2,3,5,6]) <- x [1x13x15x4]\n");
  EXPECT_EQ(optimise(chain.build(), {}).node(1).layers, (std::vector<Text>{"p", "q", "c"}));
}

TEST(FoldZeroPad, NeverIntoAPool) {
  for (const Text pool : {"max_pool", "avg_pool"}) {
    Net net;
    net.op("pad", "p", {"x"}, {{"pads", Ints{1, 1, 1, 1}}});
    net.op(pool, "pool", {"p"}, {{"kernel", Ints{3, 3}}, {"stride", Ints{2, 2}}});
    EXPECT_EQ(optimised(net), lines(net.build())) << pool;
    const Graph graph = net.build();
    EXPECT_EQ(lines(specialise(graph, infer_shapes(graph, 1, 8, 8), {})), lines(graph)) << pool;
  }
}

TEST(FoldZeroPad, LeavesReflectingSharedAndKeptPads) {
  Net reflect;
  reflect.op("pad", "p", {"x"}, {{"pads", Ints{1, 1, 1, 1}}, {"mode", Text("reflect")}}).conv("c", "p", 4, 3);
  EXPECT_EQ(optimised(reflect), lines(reflect.build()));
  Net shared;
  shared.op("pad", "p", {"x"}, {{"pads", Ints{1, 1, 1, 1}}}).conv("c", "p").op("mul", "m", {"c", "p"});
  EXPECT_EQ(optimised(shared), lines(shared.build()));
  Net kept;
  kept.op("pad", "p", {"x"}, {{"pads", Ints{1, 1, 1, 1}}}).conv("c", "p", 4, 3);
  EXPECT_EQ(optimised(kept, {"p"}), lines(kept.build()));
}

TEST(Specialise, FoldsAZeroPadIntoASamePaddedConvolutionForOneSize) {
  Net net(9);
  net.op("pad", "p", {"x"}, {{"pads", Ints{0, 1, 0, 0}}});
  net.conv("c", "p", 4, 3, {{"padding", Text("same")}, {"stride", Ints{2, 2}}});
  EXPECT_EQ(optimised(net), lines(net.build())) << "the padding depends on the size";
  const Graph graph = optimise(net.build(), {});
  // Height 9: one zero on both sides. Width 9 + 1 = 10: one zero after, and the pad's before.
  EXPECT_EQ(lines(specialise(graph, infer_shapes(graph, 1, 9, 9), {})),
            "c conv2d(stride=[2,2], padding=explicit, pads=[1,1,1,1]) <- x [1x5x5x4]\n");
  // Height 8: one after. Width 8 + 1 = 9: one on both sides, and the pad's.
  const Graph other = specialise(graph, infer_shapes(graph, 1, 8, 8), {});
  EXPECT_EQ(ints_attr(other.node(1).attrs, "pads"), (Ints{0, 2, 1, 1}));
  EXPECT_EQ(infer_shapes(other, 1, 8, 8).back(), infer_shapes(graph, 1, 8, 8).back());
}

TEST(Specialise, LeavesAPlainSamePaddedConvolution) {
  Net net;
  net.conv("c", "x", 4, 3, {{"padding", Text("same")}});
  const Graph graph = net.build();
  EXPECT_EQ(lines(specialise(graph, infer_shapes(graph, 1, 8, 8), {})), lines(graph));
}

TEST(FuseResidual, PrefersTheLaterConvolution) {
  Net net;
  net.conv("a", "x").conv("b", "x").op("add", "sum", {"a", "b"});
  const Text expected = "a conv2d <- x [1x8x8x4]\nb conv2d <- x [1x8x8x4] + add(a) -> sum\n";
  EXPECT_EQ(optimised(net), expected);
  Net swapped;
  swapped.conv("a", "x").conv("b", "x").op("add", "sum", {"b", "a"});
  EXPECT_EQ(optimised(swapped), expected);
}

TEST(FuseResidual, TakesTheEarlierOneWhenTheLaterCannot) {
  Net net;
  net.conv("a", "x").conv("b", "x").op("relu", "r", {"b"}).op("add", "sum", {"a", "r"}).op("relu", "out", {"sum"});
  EXPECT_EQ(optimised(net),
            "b conv2d <- x [1x8x8x4] + relu -> r\n"
            "a conv2d <- x [1x8x8x4] + add(r) + relu -> out\n");
}

TEST(FuseResidual, LeavesTheAddWhereNoConvolutionIsFree) {
  Net activated;
  activated.conv("a", "x").op("relu", "r", {"a"}).op("add", "sum", {"r", "x"}).op("relu", "out", {"sum"});
  EXPECT_EQ(optimised(activated), "a conv2d <- x [1x8x8x4] + relu -> r\nsum add <- r, x [1x8x8x4] + relu -> out\n");
  Net twice;
  twice.conv("a", "x").op("add", "sum", {"a", "a"});
  EXPECT_EQ(optimised(twice), lines(twice.build()));
  Net shared;
  shared.conv("a", "x").op("add", "sum", {"a", "x"}).op("mul", "m", {"sum", "a"});
  EXPECT_EQ(optimised(shared), lines(shared.build()));
  Net kept;
  kept.conv("a", "x").op("add", "sum", {"a", "x"});
  EXPECT_EQ(optimised(kept, {"a"}), lines(kept.build()));
  EXPECT_EQ(optimised(kept, {"sum"}), "a conv2d <- x [1x8x8x4] + add(x) -> sum\n");
}

TEST(FuseResidual, TakesOneResidualPerConvolution) {
  Net net;
  net.conv("a", "x").op("add", "s1", {"a", "x"}).op("add", "s2", {"s1", "x"});
  EXPECT_EQ(optimised(net), "a conv2d <- x [1x8x8x4] + add(x) -> s1\ns2 add <- s1, x [1x8x8x4]\n");
}

TEST(FuseResidual, IsCheckedAgainAtEveryInputSize) {
  Net net(8);
  net.conv("a", "x", 4, 3, {{"stride", Ints{2, 2}}});  // 8 -> 3, 7 -> 3
  net.op("max_pool", "b", {"x"}, {{"kernel", Ints{3, 3}}, {"stride", Ints{2, 2}}, {"ceil_mode", true}});
  net.op("max_pool", "c", {"b"}, {{"kernel", Ints{2, 2}}, {"stride", Ints{1, 1}}});  // 8 -> 4 -> 3, 7 -> 3 -> 2
  net.op("add", "sum", {"a", "c"});
  const Graph graph = optimise(net.build(), {});
  ASSERT_TRUE(graph.node(graph.output).epilogue.residual);
  infer_shapes(graph, 1, 8, 8);
  try {
    infer_shapes(graph, 1, 7, 7);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_geometry);
    EXPECT_EQ(error.where(), "layer 'sum'");
  }
}

TEST(FuseActivation, TakesEveryActivation) {
  for (const Text activation : {"relu", "relu6", "leaky_relu", "sigmoid", "hard_sigmoid", "silu"}) {
    Net net;
    net.conv("c", "x").op(activation, "act", {"c"});
    EXPECT_EQ(optimised(net), "c conv2d <- x [1x8x8x4] + " + activation + " -> act\n");
  }
  Net net;
  net.conv("c", "x").op("leaky_relu", "act", {"c"}, {{"alpha", 0.25}});
  EXPECT_EQ(optimise(net.build(), {}).node(1).epilogue.activation, (Activation{ActivationKind::leaky_relu, 0.25F, 0}));
}

TEST(FuseActivation, TakesOnePerNodeAndNoneIntoAPool) {
  Net net;
  net.conv("c", "x").op("relu", "r", {"c"}).op("relu6", "r6", {"r"});
  EXPECT_EQ(optimised(net), "c conv2d <- x [1x8x8x4] + relu -> r\nr6 relu6 <- r [1x8x8x4]\n");
  Net pool;
  pool.op("global_avg_pool", "p", {"x"}).op("relu", "r", {"p"});
  EXPECT_EQ(optimised(pool), lines(pool.build()));
}

TEST(FuseActivation, LeavesASharedValueAlone) {
  Net net;
  net.conv("c", "x").op("relu", "r", {"c"}).op("mul", "m", {"r", "c"});
  EXPECT_EQ(optimised(net), lines(net.build()));
}

TEST(FuseActivation, LeavesTheOutputAloneWhenADeadLayerReadsIt) {
  Net net;
  net.conv("c", "x").op("relu", "r", {"c"});
  Graph graph = net.build();
  graph.output = 1;
  EXPECT_EQ(after_pass("fuse_activation", graph), "c conv2d <- x [1x8x8x4]\n");
}

TEST(FlattenOrder, MovesIntoDense) {
  Net net(2, 4);
  net.op("max_pool", "p", {"x"}, {{"kernel", Ints{2, 2}}, {"stride", Ints{1, 1}}, {"padding", Text("same")}});
  net.op("flatten", "f", {"p"}, {{"order", Text("nchw")}}).dense("fc", "f", 16);
  const Graph graph = optimise(net.build(), {});
  EXPECT_EQ(lines(graph),
            "p max_pool(kernel=[2,2], stride=[1,1], padding=same) <- x [1x2x2x4]\n"
            "f:nhwc flatten <- p [1x1x1x16]\n"
            "fc dense(input_order=nchw, input_channels=4) <- f:nhwc [1x1x1x2]\n");
  EXPECT_EQ(node_named(graph, "fc").layers, (std::vector<Text>{"f", "fc"})) << "f's value is not computed any more";
}

TEST(FlattenOrder, LeavesAFlattenThatSomethingElseReads) {
  Net net(2, 4);
  net.op("flatten", "f", {"x"}, {{"order", Text("nchw")}}).dense("fc", "f", 16);
  EXPECT_EQ(optimised(net, {"f"}), lines(net.build()));
  Net softmax(2, 4);
  softmax.op("flatten", "f", {"x"}, {{"order", Text("nchw")}}).op("softmax", "s", {"f"});
  EXPECT_EQ(optimised(softmax), lines(softmax.build()));
}

TEST(FlattenOrder, ServesSeveralDenseLayers) {
  Net net(2, 4);
  net.op("flatten", "f", {"x"}, {{"order", Text("nchw")}})
      .dense("a", "f", 16)
      .dense("b", "f", 16)
      .op("add", "s", {"a", "b"});
  EXPECT_EQ(optimised(net),
            "f:nhwc flatten <- x [1x1x1x16]\n"
            "a dense(input_order=nchw, input_channels=4) <- f:nhwc [1x1x1x2]\n"
            "b dense(input_order=nchw, input_channels=4) <- f:nhwc [1x1x1x2]\n"
            "s add <- a, b [1x1x1x2]\n");
}

TEST(PassList, NamesEveryPassOnce) {
  std::set<std::string_view> names;
  for (const Pass& pass : graph_passes()) EXPECT_TRUE(names.insert(pass.name).second) << pass.name;
  EXPECT_EQ(names.size(), 9u);
}

}  // namespace
}  // namespace resnet
