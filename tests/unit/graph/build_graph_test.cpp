#include <gtest/gtest.h>

#include <functional>

#include "graph/graph.hpp"
#include "resnet_engine/error.hpp"

namespace resnet {
namespace {

using Ints = std::vector<std::int64_t>;

/// input 8x8x3 -> conv (3 -> 4) -> bn -> relu -> pool -> fc (4 -> 5), as a list that cases modify.
struct Network {
  std::vector<LayerSpec> layers{
      {"data",
       "input",
       {},
       {{"channels", std::int64_t{3}}, {"height", std::int64_t{8}}, {"width", std::int64_t{8}}},
       {}},
      {"conv", "conv2d", {"data"}, {{"padding", std::string("same")}}, {{"weight", "conv.w"}, {"bias", "conv.b"}}},
      {"bn", "batch_norm", {"conv"}, {{"eps", 0.5}}, {{"mean", "bn.m"}, {"var", "bn.v"}}},
      {"relu", "relu", {"bn"}, {}, {}},
      {"pool", "global_avg_pool", {"relu"}, {}, {}},
      {"fc", "dense", {"pool"}, {}, {{"weight", "fc.w"}}},
  };
  std::string output = "fc";
  TensorTable tensors{
      {"conv.w", {DType::f32, {4, 3, 3, 3}}},
      {"conv.b", {DType::f32, {4}}},
      {"bn.m", {DType::f32, {4}}},
      {"bn.v", {DType::f32, {4}}},
      {"fc.w", {DType::f16, {5, 4}}},
  };

  LayerSpec& layer(std::string_view name) {
    for (LayerSpec& candidate : layers) {
      if (candidate.name == name) return candidate;
    }
    throw std::logic_error("no such layer");
  }
  Graph build() const { return build_graph(layers, output, tensors); }
};

std::vector<std::string> names(const Graph& graph) {
  std::vector<std::string> result;
  for (const Node& node : graph.nodes) result.push_back(node.name);
  return result;
}

TEST(BuildGraph, KeepsTheOrderOfATopologicalFile) {
  const Graph graph = Network{}.build();
  EXPECT_EQ(names(graph), (std::vector<std::string>{"data", "conv", "bn", "relu", "pool", "fc"}));
  EXPECT_EQ(graph.output, 5);
  EXPECT_EQ(graph.input_dims(), (Dims{1, 8, 8, 3}));
  EXPECT_EQ(graph.node(2).weights, (std::vector<std::string>{"", "", "bn.m", "bn.v"}));
  EXPECT_EQ(string_attr(graph.node(1).attrs, "padding"), "same");
  EXPECT_EQ(ints_attr(graph.node(1).attrs, "stride"), (Ints{1, 1})) << "defaults are filled in";
}

TEST(BuildGraph, SortsLayersThatStandInAnyOrder) {
  Network network;
  std::reverse(network.layers.begin(), network.layers.end());
  const Graph graph = network.build();
  EXPECT_EQ(names(graph), (std::vector<std::string>{"data", "conv", "bn", "relu", "pool", "fc"}));
  EXPECT_EQ(graph.node(graph.output).name, "fc");
}

TEST(BuildGraph, DropsLayersThatDoNotLeadToTheOutput) {
  Network network;
  network.output = "pool";
  EXPECT_EQ(names(network.build()), (std::vector<std::string>{"data", "conv", "bn", "relu", "pool"}));
}

TEST(BuildGraph, AcceptsOneTensorInTwoLayers) {
  Network network;
  network.layer("fc").weights["bias"] = "fc.b";
  network.tensors["fc.b"] = {DType::bf16, {5}};
  network.layers.push_back({"fc2", "dense", {"pool"}, {}, {{"weight", "fc.w"}, {"bias", "fc.b"}}});
  network.layers.push_back({"sum", "add", {"fc", "fc2"}, {}, {}});
  network.output = "sum";
  EXPECT_EQ(network.build().size(), 8);
}

TEST(BuildGraph, TakesADeepChainWithoutRecursion) {
  Network network;
  network.tensors.clear();
  network.layers.resize(1);
  for (int i = 0; i < 60'000; ++i) {
    const std::string previous = i == 0 ? "data" : "r" + std::to_string(i - 1);
    network.layers.push_back({"r" + std::to_string(i), "relu", {previous}, {}, {}});
  }
  std::reverse(network.layers.begin(), network.layers.end());
  network.output = "r59999";
  EXPECT_EQ(network.build().size(), 60'001);
}

struct BadCase {
  const char* title;
  std::function<void(Network&)> damage;
  ErrorCode code;
  const char* place;  ///< what the message must name
  const char* text;   ///< and say
};

class BadGraph : public testing::TestWithParam<BadCase> {};

TEST_P(BadGraph, IsRefusedWithItsCodeAndPlace) {
  Network network;
  GetParam().damage(network);
  try {
    network.build();
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), GetParam().code) << to_string(error.code()) << ": " << error.what();
    EXPECT_NE(error.where().find(GetParam().place), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(GetParam().text), std::string::npos) << error.what();
  }
}

constexpr std::int64_t huge = std::int64_t{1} << 40;

const BadCase bad_cases[] = {
    {"DuplicateName", [](Network& n) { n.layer("relu").name = "bn"; }, ErrorCode::bad_graph, "layer 'bn'",
     "two layers"},
    {"EmptyName", [](Network& n) { n.layer("relu").name = ""; }, ErrorCode::bad_graph, "layer number 3", "no name"},
    {"UnknownOp", [](Network& n) { n.layer("relu").op = "gelu"; }, ErrorCode::unknown_layer, "layer 'relu'", "'gelu'"},
    {"InternalOp", [](Network& n) { n.layer("relu").op = "scale_shift"; }, ErrorCode::unknown_layer, "layer 'relu'",
     "scale_shift"},
    {"TooFewInputs", [](Network& n) { n.layer("relu").op = "add"; }, ErrorCode::bad_graph, "layer 'relu'",
     "takes 2 input(s), not 1"},
    {"InputOfTheInput", [](Network& n) { n.layer("data").inputs = {"conv"}; }, ErrorCode::bad_graph, "layer 'data'",
     "takes 0"},
    {"UndefinedInput", [](Network& n) { n.layer("relu").inputs = {"bn2"}; }, ErrorCode::bad_graph, "layer 'relu'",
     "'bn2' is no layer"},
    {"SelfLoop", [](Network& n) { n.layer("relu").inputs = {"relu"}; }, ErrorCode::bad_graph, "layer 'relu'",
     "cycle: relu -> relu"},
    {"Cycle", [](Network& n) { n.layer("conv").inputs = {"relu"}; }, ErrorCode::bad_graph, "layer 'conv'",
     "cycle: conv -> bn -> relu -> conv"},
    {"CycleOfDeadLayers",
     [](Network& n) {
       n.layers.push_back({"a", "relu", {"b"}, {}, {}});
       n.layers.push_back({"b", "relu", {"a"}, {}, {}});
     },
     ErrorCode::bad_graph, "layer 'a'", "cycle: a -> b -> a"},
    {"TwoInputs",
     [](Network& n) {
       n.layers.push_back(n.layers.front());
       n.layers.back().name = "data2";
     },
     ErrorCode::bad_graph, "layer 'data2'", "second input besides 'data'"},
    {"NoInput", [](Network& n) { n.layers.clear(), n.tensors.clear(); }, ErrorCode::bad_graph, "layer list", "'input'"},
    {"NoOutput", [](Network& n) { n.output = "fc9"; }, ErrorCode::bad_graph, "layer list", "output 'fc9'"},
    {"UnknownRole", [](Network& n) { n.layer("relu").weights["weight"] = "conv.w"; }, ErrorCode::bad_attribute,
     "layer 'relu'", "no weight 'weight'"},
    {"RoleNotGiven", [](Network& n) { n.layer("bn").weights.erase("mean"), n.tensors.erase("bn.m"); },
     ErrorCode::missing_tensor, "layer 'bn'", "needs the weight 'mean'"},
    {"TensorMissing", [](Network& n) { n.tensors.erase("conv.b"); }, ErrorCode::missing_tensor, "layer 'conv'",
     "'conv.b'"},
    {"TensorUnused",
     [](Network& n) {
       n.tensors["extra"] = {DType::i64, {1}};
     },
     ErrorCode::unused_tensor, "tensor 'extra'", "no layer"},
    {"TensorOfIntegers", [](Network& n) { n.tensors["conv.b"].dtype = DType::i32; }, ErrorCode::bad_dtype,
     "layer 'conv'", "'conv.b'"},
    {"WeightOfWrongRank",
     [](Network& n) {
       n.tensors["conv.w"].shape = {4, 27};
     },
     ErrorCode::tensor_shape, "layer 'conv'", "[4, 27]"},
    {"WeightOfNoExtent",
     [](Network& n) {
       n.tensors["conv.w"].shape = {4, 0, 3, 3};
     },
     ErrorCode::tensor_shape, "layer 'conv'", "[4, 0, 3, 3]"},
    {"WeightOfWrongChannels",
     [](Network& n) {
       n.tensors["conv.w"].shape = {4, 3, 3, 5};
     },
     ErrorCode::bad_geometry, "layer 'conv'", "takes 5"},
    {"BiasOfWrongSize", [](Network& n) { n.tensors["conv.b"].shape = {3}; }, ErrorCode::tensor_shape, "layer 'conv'",
     "'bias' has shape [3] instead of [4]"},
    {"BatchNormOfWrongSize", [](Network& n) { n.tensors["bn.v"].shape = {5}; }, ErrorCode::tensor_shape, "layer 'bn'",
     "'var' has shape [5] instead of [4]"},
    {"DenseOfWrongSize",
     [](Network& n) {
       n.tensors["fc.w"].shape = {5, 16};
     },
     ErrorCode::bad_geometry, "layer 'fc'", "4 features"},
    {"UnknownAttribute",
     [](Network& n) {
       n.layer("conv").attrs["strides"] = Ints{2, 2};
     },
     ErrorCode::bad_attribute, "layer 'conv'", "'strides'"},
    {"AttributeOfWrongType", [](Network& n) { n.layer("conv").attrs["stride"] = std::int64_t{2}; },
     ErrorCode::bad_attribute, "layer 'conv'", "a list of integers"},
    {"AttributeMissing", [](Network& n) { n.layer("data").attrs.erase("width"); }, ErrorCode::bad_attribute,
     "layer 'data'", "'width'"},
    {"EmptyInput", [](Network& n) { n.layer("data").attrs["width"] = std::int64_t{0}; }, ErrorCode::bad_geometry,
     "layer 'data'", "1x8x0x3"},
    {"VolumeBeyond64Bits",
     [](Network& n) { n.layer("data").attrs["height"] = huge, n.layer("data").attrs["width"] = huge; },
     ErrorCode::overflow, "layer 'data'", "64 bits"},
    {"AxisBeyondTheLimit", [](Network& n) { n.layer("data").attrs["height"] = huge; }, ErrorCode::limit_exceeded,
     "layer 'data'", "2^31 - 1"},
    {"StrideBeyondTheLimit",
     [](Network& n) {
       n.layer("conv").attrs["stride"] = Ints{huge, 1};
     },
     ErrorCode::bad_attribute, "layer 'conv'", "'stride'"},
    {"DeadLayerThatDoesNotFit",
     [](Network& n) {
       n.layers.push_back({"dead", "add", {"conv", "pool"}, {}, {}});
     },
     ErrorCode::bad_geometry, "layer 'dead'", "1x8x8x4 and 1x1x1x4"},
};

INSTANTIATE_TEST_SUITE_P(Rules, BadGraph, testing::ValuesIn(bad_cases),
                         [](const auto& instance) { return std::string(instance.param.title); });

TEST(InferShapes, FollowsTheBatchAndTheInputSize) {
  const Graph graph = Network{}.build();
  const std::vector<Dims> shapes = infer_shapes(graph, 3, 11, 6);
  EXPECT_EQ(shapes[0], (Dims{3, 11, 6, 3}));
  EXPECT_EQ(shapes[1], (Dims{3, 11, 6, 4}));
  EXPECT_EQ(shapes[4], (Dims{3, 1, 1, 4}));
  EXPECT_EQ(shapes[5], (Dims{3, 1, 1, 5}));
}

TEST(InferShapes, RefusesABatchOfNoImages) { EXPECT_THROW(infer_shapes(Network{}.build(), 0, 8, 8), Error); }

TEST(NodeMacs, CountsConvolutionsAndDenseLayers) {
  const Graph graph = Network{}.build();
  const std::vector<Dims> shapes = infer_shapes(graph, 2, 8, 8);
  EXPECT_EQ(node_macs(graph, 1, shapes), 2 * 8 * 8 * 4 * 3 * 3 * 3);
  EXPECT_EQ(node_macs(graph, 2, shapes), 0);
  EXPECT_EQ(node_macs(graph, 5, shapes), 2 * 5 * 4);
}

TEST(Consumers, ListsEveryUse) {
  Network network;
  network.layers.push_back({"twice", "add", {"fc", "fc"}, {}, {}});
  network.output = "twice";
  const auto uses = consumers(network.build());
  EXPECT_EQ(uses[0], std::vector<NodeId>{1});
  EXPECT_EQ(uses[5], (std::vector<NodeId>{6, 6}));
  EXPECT_TRUE(uses[6].empty());
}

TEST(Dump, WritesOneLinePerNodeWithWhatDiffersFromTheDefaults) {
  const Graph graph = Network{}.build();
  EXPECT_EQ(dump(graph, infer_shapes(graph, 1, 8, 8)),
            "data input(channels=3, height=8, width=8) [1x8x8x3]\n"
            "conv conv2d(padding=same) <- data [1x8x8x4]\n"
            "bn batch_norm(eps=0.5) <- conv [1x8x8x4]\n"
            "relu relu <- bn [1x8x8x4]\n"
            "pool global_avg_pool <- relu [1x1x1x4]\n"
            "fc dense <- pool [1x1x1x5]\n");
}

}  // namespace
}  // namespace resnet
