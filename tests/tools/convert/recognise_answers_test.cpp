// What the tensors of a ResNet do not tell: it is answered, asked for, assumed and reported, or refused by name.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tools/convert/resnet_tensors.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

/// The same net with the stem's width in every stage, under torchvision's or a tutorial's names.
std::vector<SourceTensor> equal_width(bool bottleneck, bool tutorial) {
  ResNetArgs args;
  args.bottleneck = bottleneck;
  args.layers = {2, 1};
  args.channels = {bottleneck ? 8 : 32, 64};
  args.plain_stem = 32;
  ResNetShape shape = make_shape(args);
  shape.stages[0][0].projection = 1;
  auto tensors = state_dict(shape);
  for (SourceTensor& t : tensors) {
    const std::size_t at = t.name.find("downsample");
    if (tutorial && at != std::string::npos) t.name = t.key = t.name.replace(at, 10, "shortcut");
  }
  return tensors;
}

TEST(Recognise, AProjectionOfEqualWidthStridesWhereTheCodeMakesNoOther) {
  for (const bool bottleneck : {false, true}) {
    const auto own = equal_width(bottleneck, false), tutorial = equal_width(bottleneck, true);
    EXPECT_TRUE(mentions(choose(own).why, "stride 2 in the first stage"));
    EXPECT_FALSE(mentions(choose(own, "resnet,first_stride=1").why, "stride 2"));
    const std::string text = refusal(tutorial);
    EXPECT_TRUE(mentions(text, "does it stride (--arch resnet,first_stride=2) or not (first_stride=1)?")) << text;
    EXPECT_TRUE(mentions(choose(tutorial, "resnet,first_stride=2").why, "stride 2 in the first stage"));
    EXPECT_FALSE(mentions(choose(tutorial, "resnet,first_stride=1").why, "stride 2"));
  }
}

TEST(Recognise, SaysWhatItAssumed) {
  const auto resnet50 = state_dict(find_torchvision_net("resnet50")->shape);
  const std::string assumed = choose(resnet50).assumed;
  EXPECT_EQ(assumed.find("stride=3x3, aa=none, stem=imagenet, first_stride=1 (no tensor tells; otherwise: --arch "
                         "resnet50,stride=1x1,"),
            0u)
      << assumed;
  EXPECT_EQ(choose(resnet50, "resnet50").assumed, "");
  EXPECT_EQ(choose(resnet50, "resnet,stride=3x3,stem=imagenet,first_stride=1").assumed.find("aa=none ("), 0u);
  EXPECT_EQ(choose(resnet50, "resnet,stride=3x3,stem=imagenet,first_stride=1,aa=blur").assumed, "");
  const auto basic = choose(state_dict(find_torchvision_net("resnet18")->shape)).assumed;
  EXPECT_EQ(basic.find("aa=none, stem=imagenet ("), 0u) << basic;
}

TEST(Recognise, TheStemsPoolIsAnAnswer) {
  auto tensors = state_dict(narrow(false, {1, 1}, 8, 5));
  EXPECT_TRUE(mentions(choose(tensors, "resnet,pool=none").why, "2 channels") ||
              mentions(choose(tensors, "resnet,pool=none").why, "no stem pool"));
  find(tensors, "conv1.weight").shape = {8, 3, 3, 3};
  const std::string why = choose(tensors, "resnet,stem=cifar,pool=max").why;
  EXPECT_TRUE(mentions(why, "3x3 stem of stride 1") && !mentions(why, "no stem pool")) << why;
}

/// With a head instead of fc: tensors of these names and shapes.
std::vector<SourceTensor> with_head(const std::vector<SourceTensor>& head) {
  auto tensors = state_dict(narrow(false, {1, 1}, 8, 5));
  std::erase_if(tensors, [](const auto& t) { return t.name.starts_with("fc."); });
  tensors.insert(tensors.end(), head.begin(), head.end());
  return tensors;
}

TEST(Head, OfTwoLayersIsTakenWhenToldWhatLiesBetween) {
  for (const std::string place : {"fc", "classifier", "head", "top"}) {
    const auto tensors = with_head({tensor(place + ".0.weight", {6, 16}), tensor(place + ".0.bias", {6}),
                                    tensor(place + ".3.weight", {4, 6}), tensor(place + ".3.bias", {4})});
    const std::string text = refusal(tensors);
    EXPECT_TRUE(mentions(text, "the head has 2 dense layers (" + place + ".0 6x16, " + place + ".3 4x6)")) << text;
    EXPECT_TRUE(mentions(text, "answer --arch resnet,head=relu; otherwise export the network to ONNX")) << text;
    auto taken = tensors;
    ArchChoice choice;
    choice.name = "resnet";
    choice.answers.relu_head = true;
    const Recipe recipe = choose_recipe(choice, taken);
    EXPECT_TRUE(mentions(recipe.why, "a head of 2 dense layers with ReLU between")) << recipe.why;
    EXPECT_NO_THROW(map_tensors(recipe, TensorIndex(taken)));
    std::string ops;
    for (std::size_t i = recipe.layers.size() - 3; i < recipe.layers.size(); ++i) ops += recipe.layers[i].op + ' ';
    EXPECT_EQ(ops, "dense relu dense ");
    EXPECT_EQ(recipe.expected.at("fc.weight"), (TensorShape{4, 6}));
  }
}

TEST(Head, OfTwoLayersIsTakenBehindANameToo) {
  ResNetShape shape = find_known_net("resnet18")->shape;
  auto tensors = state_dict(shape);
  std::erase_if(tensors, [](const auto& t) { return t.name.starts_with("fc."); });
  tensors.push_back(tensor("fc.1.weight", {6, 512}));
  tensors.push_back(tensor("fc.3.weight", {4, 6}));
  tensors.push_back(tensor("fc.3.bias", {4}));
  EXPECT_TRUE(mentions(refusal(tensors, "resnet18"), "answer --arch resnet18,head=relu"));
  ArchChoice choice;
  choice.name = "resnet18";
  choice.answers.relu_head = true;
  const Recipe recipe = choose_recipe(choice, tensors);
  EXPECT_EQ(map_tensors(recipe, TensorIndex(tensors)).trainable, 11'689'512 - 513'000 + 6 * 512 + 4 * 6 + 4);
}

TEST(Head, WithABatchNormIsRefusedByName) {
  const auto tensors =
      with_head({tensor("fc.0.weight", {16}), tensor("fc.0.bias", {16}), tensor("fc.0.running_mean", {16}),
                 tensor("fc.0.running_var", {16}), tensor("fc.2.weight", {4, 16}), tensor("fc.2.bias", {4})});
  for (const char* arch : {"auto", "resnet,head=relu"}) {
    const std::string text = refusal(tensors, arch);
    EXPECT_TRUE(mentions(text, "the head has a batch norm (fc.0) beside fc.2 4x16")) << text;
    EXPECT_TRUE(mentions(text, "export the network to ONNX")) << text;
    EXPECT_FALSE(mentions(text, "--map")) << text;
  }
}

TEST(Head, WithoutBiasIsTakenWhenNothingElseIsMissing) {
  const Recipe recipe = choose(with_head({tensor("fc.weight", {4, 16})}));
  EXPECT_TRUE(mentions(recipe.why, "a classifier without bias")) << recipe.why;
  EXPECT_EQ(recipe.layers.back().weights.count("bias"), 0u);
  EXPECT_TRUE(mentions(choose(with_head({tensor("linear.weight", {4, 16})})).why, "a classifier without bias"));
  auto tensors = with_head({tensor("fc.weight", {4, 16})});
  remove(tensors, "bn1.bias");
  EXPECT_TRUE(mentions(refusal(tensors), "2 keys are missing: bn1.bias, fc.bias"));
  tensors = state_dict(find_torchvision_net("resnet18")->shape);
  remove(tensors, "fc.bias");
  EXPECT_EQ(choose(tensors).name, "resnet");  // torchvision's has one
  EXPECT_TRUE(mentions(refusal(tensors, "resnet18"), "1 key is missing: fc.bias"));
}

TEST(Head, OfVeryManyLayersIsNone) {
  std::vector<SourceTensor> head;
  for (int i = 0; i < 9; ++i) head.push_back(tensor("h." + std::to_string(i) + ".weight", {16, 16}));
  EXPECT_TRUE(mentions(refusal(with_head(head)), "9 keys have no place in it: h.0.weight (16x16)"));
  head.pop_back();
  EXPECT_TRUE(mentions(refusal(with_head(head)), "the head has 8 dense layers"));
}

TEST(Head, ABackboneWithoutOneIsNamedAsSuch) {
  EXPECT_TRUE(mentions(refusal(with_head({})), "holds a backbone without a classifier"));
  EXPECT_TRUE(mentions(refusal(with_head({}), "resnet"), "describe the layers in a recipe that ends in the pool"));
  EXPECT_TRUE(mentions(refusal({tensor("a.weight", {3})}, "resnet18"), "1 key has no place in it: a.weight"));
  // transformers' ResNetModel: its names lack the "resnet." of the classifier's.
  auto tensors = with_head({});
  for (SourceTensor& t : tensors) {
    const auto replace = [&](const std::string& from, const std::string& to) {
      const std::size_t at = t.name.find(from);
      if (at != std::string::npos) t.name.replace(at, from.size(), to);
    };
    replace("downsample.0", "shortcut.convolution");
    replace("downsample.1", "shortcut.normalization");
    const bool stem = !t.name.starts_with("layer");
    replace("conv1", stem ? "embedder.embedder.convolution" : "layer.0.convolution");
    replace("bn1", stem ? "embedder.embedder.normalization" : "layer.0.normalization");
    replace("conv2", "layer.1.convolution");
    replace("bn2", "layer.1.normalization");
    replace("layer1.", "encoder.stages.0.layers.");
    replace("layer2.", "encoder.stages.1.layers.");
    t.key = t.name;
  }
  EXPECT_TRUE(mentions(refusal(tensors), "holds a backbone without a classifier"));
}

TEST(Recognise, TellsOpenMmlabsHeadFromTimmsV2) {
  auto tensors = state_dict(find_torchvision_net("resnet18")->shape);
  for (SourceTensor& t : tensors) t.name = t.key = (t.name.starts_with("fc") ? "head." : "backbone.") + t.name;
  const Recipe recipe = choose(tensors);
  EXPECT_EQ(recipe.name, "resnet18");
  EXPECT_TRUE(mentions(recipe.why, "OpenMMLab names, behind \"backbone.\"")) << recipe.why;
}

TEST(Recognise, AFinalNormThatIsCalledAsTheStemsIsRead) {
  ResNetArgs args;
  args.layers = {1, 1};
  args.channels = {8, 16};
  args.plain_stem = 8;
  args.preactivation = true;
  const ResNetShape shape = make_shape(args);
  auto tensors = state_dict(shape);
  for (SourceTensor& t : tensors) {
    if (t.name.starts_with("norm.")) t.name = t.key = t.name.replace(0, 4, "bn");
  }
  const Recipe recipe = choose_recipe({}, tensors);
  EXPECT_NO_THROW(map_tensors(recipe, TensorIndex(tensors)));
  EXPECT_EQ(read_resnet(TensorIndex(tensors)), shape);
}

TEST(Recognise, APrunedNetsWidthsAreThoseOfItsTensors) {
  ResNetShape shape = find_known_net("ecaresnet50d")->shape;
  for (auto& stage : shape.stages) {
    for (BlockShape& block : stage) block.width1 -= 7, block.width2 -= 5;
  }
  const auto tensors = state_dict(shape);
  for (const char* arch : {"ecaresnet50d_pruned", "ecaresnet50d_pruned.miil_in1k"}) {
    const Recipe recipe = choose(tensors, arch);
    EXPECT_EQ(recipe.name, arch);
    EXPECT_EQ(recipe.note, "");
    EXPECT_NO_THROW(map_tensors(recipe, TensorIndex(tensors)));
  }
  EXPECT_TRUE(mentions(refusal(tensors, "ecaresnet50d"), "another shape"));
  EXPECT_TRUE(mentions(refusal(tensors, "ecaresnet101d_pruned"), "missing"));
  ArchChoice choice;
  choice.configured = ConfiguredNet{"ecaresnet50d_pruned", "config.json", find_known_net("ecaresnet50d")->shape};
  auto copy = tensors;
  EXPECT_EQ(choose_recipe(choice, copy).name, "ecaresnet50d_pruned");
}

}  // namespace
}  // namespace resnet::convert
