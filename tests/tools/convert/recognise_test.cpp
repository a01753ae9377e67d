#include "convert/recognise.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "convert/known_nets.hpp"
#include "convert/recognise_resnet.hpp"
#include "convert/resnet_layers.hpp"
#include "graph/graph.hpp"
#include "tools/convert/byte_files.hpp"
#include "tools/convert/resnet_tensors.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

LayerSpec layer(const std::string& name, const std::string& op, const std::string& weight = {}) {
  LayerSpec made;
  made.name = name;
  made.op = op;
  if (!weight.empty()) made.weights["weight"] = weight;
  return made;
}

class TorchvisionNets : public testing::TestWithParam<KnownNet> {};

TEST_P(TorchvisionNets, AreRecognisedFromShapesWithAnyNumberOfClasses) {
  for (const std::int64_t classes : {1000ll, 10ll, 1ll, 21841ll}) {
    ResNetShape shape = GetParam().shape;
    shape.classes = classes;
    const auto tensors = state_dict(shape);
    const Recipe recipe = choose(tensors);
    EXPECT_EQ(recipe.name, GetParam().name);
    EXPECT_EQ(recipe.note, "");
    const Mapping mapping = map_tensors(recipe, TensorIndex(tensors));
    EXPECT_EQ(mapping.trainable, recipe.expected_parameters);
    EXPECT_EQ(mapping.entries.size() + mapping.ignored.size(), tensors.size());
    if (classes == 1000) {
      EXPECT_EQ(mapping.trainable, GetParam().parameters);
    }
  }
}

TEST_P(TorchvisionNets, MakeAValidGraph) {
  const auto tensors = state_dict(GetParam().shape);
  const Recipe recipe = choose(tensors);
  TensorTable table;
  for (const auto& entry : map_tensors(recipe, TensorIndex(tensors)).entries) {
    TensorShape shape = entry.source->shape;
    if (entry.oihw) shape = {shape[0], shape[2], shape[3], shape[1]};
    table[entry.wanted.key] = {DType::f32, shape};
  }
  const Graph graph = build_graph(recipe.layers, recipe.output, table);
  const auto shapes = infer_shapes(graph, 1, 224, 224);
  EXPECT_EQ(shapes[static_cast<std::size_t>(graph.output)].elements(), 1000);
}

INSTANTIATE_TEST_SUITE_P(All, TorchvisionNets, testing::ValuesIn(torchvision_nets()),
                         [](const auto& net) { return std::string(net.param.name); });

TEST(Recognise, SaysWhatItSaw) {
  const std::string why = choose(state_dict(find_torchvision_net("resnext50_32x4d")->shape)).why;
  EXPECT_TRUE(mentions(why, "bottleneck")) << why;
  EXPECT_TRUE(mentions(why, "3,4,6,3"));
  EXPECT_TRUE(mentions(why, "groups 32 of width 4"));
  EXPECT_TRUE(mentions(why, "1000 classes"));
}

TEST(Recognise, TakesOtherInputChannelsAndThenLeavesThePresetOpen) {
  ResNetShape shape = find_torchvision_net("resnet18")->shape;
  shape.input_channels = 1;
  const Recipe recipe = choose(state_dict(shape));
  EXPECT_EQ(recipe.name, "resnet18");
  EXPECT_EQ(recipe.preset, "");
  EXPECT_EQ(recipe.expected_parameters, 11'689'512 - 2 * 64 * 49);
}

TEST(Recognise, ANetThatIsBuiltTheSameWayIsTakenAndNamedAsSuch) {
  const auto tensors = state_dict(narrow(false, {1, 1, 2, 1}, 8, 7));
  const Recipe recipe = choose(tensors);
  EXPECT_EQ(recipe.name, "resnet");
  EXPECT_TRUE(mentions(recipe.note, "of no net that has a name")) << recipe.note;
  EXPECT_EQ(recipe.expected_parameters, -1);
  EXPECT_TRUE(map_tensors(recipe, TensorIndex(tensors)).ignored.size() > 0);
}

TEST(Recognise, TakesAnyBlockCountsStagesAndWidths) {
  for (const ResNetShape& shape :
       {narrow(true, {1, 2, 1, 1}, 8, 5, 3, 2), narrow(false, {2, 1, 1, 3}, 16, 9, 4), narrow(false, {3, 3, 3}, 16, 10),
        narrow(true, {1, 1, 1, 1}, 64, 1000), narrow(false, {1, 1, 1, 1, 1}, 4, 2)}) {
    auto tensors = state_dict(shape);
    const Recipe recipe = choose_recipe({}, tensors);
    EXPECT_NO_THROW(map_tensors(recipe, TensorIndex(tensors)));
    EXPECT_EQ(read_resnet(TensorIndex(tensors)), shape) << describe(shape);
  }
}

class KnownNets : public testing::TestWithParam<KnownNet> {};

/// Names of timm's that a legacy_ file or a v2 file has under its own naming are tested by their goldens.
TEST_P(KnownNets, AreReadFromTheirTensorsButForWhatShapesCannotShow) {
  const auto tensors = state_dict(GetParam().shape);
  ResNetShape shown = GetParam().shape;
  shown.anti_alias = AntiAlias::none;
  shown.stride_in_1x1 = shown.relu_before_attention = false;
  if (shown.stem_pool == StemPool::max_ceil) shown.stem_pool = StemPool::max;
  const auto read = read_resnet(TensorIndex(tensors));
  ASSERT_TRUE(read);
  EXPECT_EQ(difference(shown, *read), "");
  EXPECT_EQ(*read, shown) << describe(*read);
}

TEST_P(KnownNets, AreTakenByTheirName) {
  auto tensors = state_dict(GetParam().shape);
  ArchChoice choice;
  choice.name = GetParam().name;
  const Recipe recipe = choose_recipe(choice, tensors);
  EXPECT_EQ(recipe.name, GetParam().name);
  EXPECT_NO_THROW(map_tensors(recipe, TensorIndex(tensors)));
}

INSTANTIATE_TEST_SUITE_P(All, KnownNets, testing::ValuesIn(known_nets()),
                         [](const auto& net) { return std::string(net.param.name); });

TEST(Recognise, FindsANetBehindAPrefixThatMostOfItsKeysHave) {
  auto tensors = state_dict(find_known_net("resnet18d")->shape);
  for (SourceTensor& t : tensors) {
    if (!t.name.starts_with("fc.")) t.name = t.key = "model.backbone." + t.name;
  }
  const auto complete = tensors;
  const Recipe recipe = choose_recipe({}, tensors);
  EXPECT_EQ(recipe.name, "resnet18d");
  EXPECT_TRUE(mentions(recipe.why, "behind \"model.backbone.\"")) << recipe.why;
  EXPECT_NO_THROW(map_tensors(recipe, TensorIndex(tensors)));
  tensors = complete;
  remove(tensors, "model.backbone.layer2.0.bn1.bias");
  EXPECT_TRUE(mentions(refusal(tensors), "1 key is missing: model.backbone.layer2.0.bn1.bias"));
}

TEST(Recognise, ShortcutsPaddedWithZerosAreRefusedByName) {
  auto tensors = state_dict(narrow(false, {3, 3, 3}, 16, 10));
  find(tensors, "conv1.weight").shape = {16, 3, 3, 3};
  std::erase_if(tensors, [](const auto& t) { return t.name.find("downsample") != std::string::npos; });
  EXPECT_TRUE(mentions(refusal(tensors), "padded with zero channels, which is not supported"));
}

TEST(Recognise, MissingKeysAreNamedAsTheFileWouldNameThem) {
  auto tensors = state_dict(find_known_net("resnet18")->shape);
  for (SourceTensor& t : tensors) {
    const std::size_t at = t.name.find("downsample");
    if (at != std::string::npos) t.name = t.key = t.name.replace(at, 10, "shortcut");
    if (t.name.starts_with("fc")) t.name = t.key = "linear" + t.name.substr(2);
  }
  remove(tensors, "layer3.0.shortcut.0.weight");
  remove(tensors, "linear.bias");
  const std::string text = refusal(tensors);
  EXPECT_TRUE(mentions(text, "2 keys are missing: layer3.0.shortcut.0.weight, linear.bias;")) << text;
}

TEST(Recognise, ListsEveryMissingAndEveryUnmappedKey) {
  auto tensors = state_dict(find_torchvision_net("resnet18")->shape);
  remove(tensors, "fc.bias");
  remove(tensors, "layer3.1.bn2.running_var");
  tensors.push_back(tensor("aux.weight", {7}));
  tensors.push_back(tensor("extra", {1, 2}));
  const std::string text = refusal(tensors);
  EXPECT_TRUE(mentions(text,
                       "2 keys are missing: layer3.1.bn2.running_var, fc.bias; "
                       "2 keys have no place in it: aux.weight (7), extra (1x2);"))
      << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

TEST(Recognise, SurvivesAnyOneKeyThatIsMissingOrRenamedAndNamesIt) {
  for (const char* net : {"resnet18", "resnext50_32x4d"}) {
    ResNetShape shape = find_torchvision_net(net)->shape;
    shape.classes = 10;
    const auto complete = state_dict(shape);
    for (const WantedTensor& wanted : wanted_tensors(resnet_recipe(shape))) {
      auto tensors = complete;
      if (wanted.key == "fc.bias") continue;  // layers without bias exist
      remove(tensors, wanted.key);
      std::string text = refusal(tensors);
      EXPECT_TRUE(mentions(text, "do not fit " + std::string(net))) << text;
      EXPECT_TRUE(mentions(text, "1 key is missing: " + wanted.key + ';')) << text;
      EXPECT_FALSE(mentions(text, "no place")) << text;
      EXPECT_FALSE(mentions(text, "another shape")) << text;

      tensors = complete;
      SourceTensor& renamed = find(tensors, wanted.key);
      renamed.name = renamed.key = "old." + wanted.key;
      text = refusal(tensors);
      EXPECT_TRUE(mentions(text, "1 key is missing: " + wanted.key)) << text;
      const bool near = wanted.key.size() >= 12;  // four letters are much for less
      EXPECT_TRUE(!near || mentions(text, wanted.key + " (nearest: old." + wanted.key + ");")) << text;
      EXPECT_TRUE(mentions(text, "1 key has no place in it: old." + wanted.key + ' ')) << text;
    }
  }
}

TEST(Recognise, ReadsADeepNetByNamesThatAreSampled) {
  const ResNetShape shape = narrow(false, {60, 60, 60}, 8, 10);
  const auto own = state_dict(shape);
  for (const bool tutorial : {false, true}) {
    auto tensors = own;
    for (SourceTensor& t : tensors) {
      if (!tutorial) continue;
      t.name = "stage" + t.name.substr(t.name.starts_with("layer") ? 5 : 0);
      if (const std::size_t at = t.name.find("downsample"); at != std::string::npos) t.name.replace(at, 10, "shortcut");
      if (!t.key.starts_with("layer")) t.name = t.key;
      t.key = t.name;
    }
    const Recipe recipe = choose_recipe({}, tensors);
    EXPECT_EQ(mentions(recipe.why, "tutorial (stage1 ...)"), tutorial) << recipe.why;
    EXPECT_NO_THROW(map_tensors(recipe, TensorIndex(tensors)));
    EXPECT_EQ(read_resnet(TensorIndex(tensors)), shape);
  }
}

/// Seconds of this thread's processor that refusing these tensors takes.
double refusal_seconds(const std::vector<SourceTensor>& tensors) {
  const std::clock_t start = std::clock();
  EXPECT_THROW(map_tensors(choose(tensors), TensorIndex(tensors)), Error);
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

TEST(Recognise, RefusesTenThousandNamesInAMoment) {
  constexpr double most = 0.5;  // a hundredth of it in a release build, three seconds when every rule meets every name
  std::vector<SourceTensor> blocks, stages, plain, dots, near;
  for (int i = 0; i < 10'000; ++i) {
    const std::string n = std::to_string(i);
    blocks.push_back(tensor("layer1." + n + ".conv1.weight", {1, 1, 1, 1}));
    stages.push_back(tensor("layer" + n + ".0.downsample.weight", {1, 1, 1, 1}));
    plain.push_back(tensor("a.b.c.head.fc.stage1.layer1.conv1.shortcut.conv" + n, {1}));
    dots.push_back(tensor("layer1" + std::string(3000, '.') + n, {1}));
  }
  for (const auto& tensors : {blocks, stages, plain, dots}) EXPECT_LT(refusal_seconds(tensors), most);
  near = state_dict(narrow(false, {30, 30, 30}, 8, 10));
  for (std::size_t i = 0; i < near.size(); i += 2) near[i].name = near[i].key = near[i].key + std::string(90, 'x');
  EXPECT_LT(refusal_seconds(near), most);
}

TEST(Recognise, ListsOnlyAsManyKeysAsCanBeRead) {
  auto tensors = state_dict(find_torchvision_net("resnet18")->shape);
  for (int i = 0; i < 1000; ++i) tensors.push_back(tensor(std::to_string(i) + std::string(1000, 'q'), {1}));
  const std::string text = refusal(tensors);
  EXPECT_TRUE(mentions(text, "1000 keys have no place in it: 0qqq"));
  EXPECT_TRUE(mentions(text, "... and 506 more;")) << text.substr(text.size() - 200);
  EXPECT_LT(text.size(), 205'000u);
}

TEST(Recognise, AStrayConv3DoesNotMakeBottlenecks) {
  auto tensors = state_dict(find_torchvision_net("resnet18")->shape);
  tensors.push_back(tensor("layer1.0.conv3.weight", {64, 64, 3, 3}));
  const std::string text = refusal(tensors);
  EXPECT_TRUE(mentions(text, "do not fit resnet18 ")) << text;
  EXPECT_TRUE(mentions(text, "1 key has no place in it: layer1.0.conv3.weight")) << text;
}

TEST(Recognise, NamesAKeyOfAnotherShape) {
  auto tensors = state_dict(find_torchvision_net("resnet18")->shape);
  find(tensors, "layer2.0.bn1.weight").shape = {127};
  EXPECT_TRUE(mentions(refusal(tensors), "layer2.0.bn1.weight is 127, expected 128"));
}

TEST(Recognise, A3x3StemIsCifarsUnlessToldOtherwise) {
  auto tensors = state_dict(find_torchvision_net("resnet18")->shape);
  find(tensors, "conv1.weight").shape = {64, 3, 3, 3};
  const Recipe cifar = choose(tensors);
  EXPECT_TRUE(mentions(cifar.why, "3x3 stem of stride 1, no stem pool")) << cifar.why;
  EXPECT_EQ(cifar.layers[0].attrs.at("height"), AttrValue(std::int64_t{32}));
  const Recipe told = choose(tensors, "resnet,stem=imagenet");
  EXPECT_TRUE(mentions(told.why, "3x3 stem of stride 2, groups") || mentions(told.why, "3x3 stem of stride 2, fc"))
      << told.why;
  EXPECT_TRUE(mentions(refusal(tensors, "resnet18"), "conv1.weight is 64x3x3x3, expected 64x3x7x7"));
}

TEST(Recognise, AForcedArchitectureMustFit) {
  const auto tensors = state_dict(find_torchvision_net("resnet18")->shape);
  EXPECT_EQ(choose(tensors, "resnet18").name, "resnet18");
  const std::string text = refusal(tensors, "resnet34");
  EXPECT_TRUE(mentions(text, "layer1.2.conv1.weight"));
}

TEST(Recognise, AnUnknownNameListsTheKnownOnes) {
  const Error error = error_of([] { choose({}, "resnet19"); });
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  for (const KnownNet& net : torchvision_nets()) EXPECT_TRUE(mentions(error.what(), net.name));
}

TEST(Recognise, OtherNetworksAreRefusedWithTheWayOut) {
  std::vector<SourceTensor> tensors = {tensor("features.0.weight", {64, 3, 3, 3})};
  const std::string text = refusal(tensors);
  EXPECT_TRUE(mentions(text, "features.0.weight"));
  EXPECT_TRUE(mentions(text, "--map"));
  EXPECT_TRUE(mentions(text, "recipe"));
  refusal({});
}

TEST(Recognise, HostileShapesAreRefusedWithoutArithmetic) {
  for (const char* key : {"conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight", "fc.weight"}) {
    for (const std::int64_t size : {std::int64_t{0}, std::int64_t{1} << 62}) {
      for (const std::size_t axis : {0u, 1u}) {
        auto tensors = state_dict(find_torchvision_net("resnext50_32x4d")->shape);
        TensorShape& shape = find(tensors, key).shape;
        shape[axis] = size;
        shape[1 - axis] = 0;  // so that the product fits and any size passes the readers
        EXPECT_NE(error_of([&] {
                    const Recipe recipe = choose_recipe({}, tensors);
                    map_tensors(recipe, TensorIndex(tensors));
                  }).code(),
                  ErrorCode::internal)
            << key;
      }
    }
  }
}

const char* const tiny_recipe = R"({"name": "tiny", "parameters": 57, "preprocess": "torchvision", "labels": ["a", "b"],
  "output": "fc", "layers": [
  {"name": "input", "op": "input", "attrs": {"channels": 3, "height": 8, "width": 8}},
  {"name": "stem", "op": "conv2d", "inputs": ["input"], "attrs": {"stride": [2, 2], "padding": "explicit", "pads": [1, 1, 1, 1]},
   "weights": {"weight": "stem.weight"}},
  {"name": "pool", "op": "global_avg_pool", "inputs": ["stem"]},
  {"name": "fc", "op": "dense", "inputs": ["pool"], "weights": {"weight": "fc.weight", "bias": "fc.bias"}}]})";

TEST(Recipe, IsReadWithItsPresetAndLabels) {
  const Recipe recipe = parse_recipe(tiny_recipe, "tiny.json");
  EXPECT_EQ(recipe.name, "tiny");
  EXPECT_EQ(recipe.output, "fc");
  EXPECT_EQ(recipe.layers.size(), 4u);
  EXPECT_EQ(recipe.expected_parameters, 57);
  EXPECT_EQ(recipe.preset, "torchvision");
  EXPECT_EQ(recipe.labels, (std::vector<std::string>{"a", "b"}));
  const auto wanted = wanted_tensors(recipe);
  ASSERT_EQ(wanted.size(), 3u);
  EXPECT_EQ(wanted[1].key, "fc.weight");
}

TEST(Recipe, IsChosenWhenAllKeysAreItsOwn) {
  ArchChoice choice;
  choice.recipes = {{"tiny", tiny_recipe}};
  std::vector<SourceTensor> tensors = {tensor("stem.weight", {2, 3, 3, 3}), tensor("fc.weight", {2, 2}),
                                       tensor("fc.bias", {2})};
  EXPECT_EQ(choose_recipe(choice, tensors).name, "tiny");
  tensors.push_back(tensor("more", {1}));
  EXPECT_EQ(error_of([&] { choose_recipe(choice, tensors); }).code(), ErrorCode::import_failed);
}

TEST(Recipe, NamesWhatIsWrong) {
  const std::pair<const char*, ErrorCode> cases[] = {
      {"[]", ErrorCode::bad_header},
      {R"({"output": "a"})", ErrorCode::bad_header},
      {R"({"output": "a", "layers": [], "color": 1})", ErrorCode::bad_header},
      {R"({"output": "a", "layers": [{"name": "a"}]})", ErrorCode::bad_header},
  };
  for (const auto& [json, code] : cases) {
    const Error error = error_of([&, text = json] { parse_recipe(text, "r.json"); });
    EXPECT_EQ(error.code(), code) << json << error.what();
    EXPECT_TRUE(mentions(error.what(), "r.json")) << error.what();
  }
  Recipe recipe;
  recipe.layers = {layer("x", "warp")};
  EXPECT_EQ(error_of([&] { wanted_tensors(recipe); }).code(), ErrorCode::unknown_layer);
  recipe.layers = {layer("x", "relu", "w")};
  EXPECT_EQ(error_of([&] { wanted_tensors(recipe); }).code(), ErrorCode::bad_attribute);
  recipe.layers = {layer("c", "conv2d", "w"), layer("d", "dense", "w")};
  EXPECT_EQ(error_of([&] { wanted_tensors(recipe); }).code(), ErrorCode::bad_graph);
}

}  // namespace
}  // namespace resnet::convert
