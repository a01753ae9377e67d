// Networks whose names say nothing: order and shapes decide, or the message asks what they leave open.
#include "convert/infer_structure.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "convert/known_nets.hpp"
#include "convert/recognise.hpp"
#include "convert/recognise_resnet.hpp"
#include "convert/resnet_layers.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// The net's tensors in the order of its layers, named by `name(layer, role, number)`.
template <class Name>
std::vector<SourceTensor> tensors_of(const ResNetShape& shape, Name name) {
  std::vector<SourceTensor> tensors;
  const Recipe recipe = resnet_recipe(shape);
  std::string layer;
  int layers = 0;
  for (const WantedTensor& wanted : wanted_tensors(recipe)) {
    layers += wanted.layer != layer ? 1 : 0;
    layer = wanted.layer;
    SourceTensor tensor;
    tensor.name = tensor.key = name(layers, wanted.role, static_cast<int>(tensors.size()));
    tensor.shape = recipe.expected.at(wanted.key);
    tensors.push_back(tensor);
  }
  return tensors;
}

std::string module_name(int layer, const std::string& role, int) { return "m" + std::to_string(layer) + "/" + role; }
std::string plain_name(int, const std::string&, int number) { return "t" + std::to_string(number); }

std::string refusal(const std::vector<SourceTensor>& tensors) {
  const Error error = error_of([&] {
    auto copy = tensors;
    choose_recipe({}, copy);
  });
  EXPECT_EQ(error.code(), ErrorCode::import_failed);
  return error.what();
}

TEST(InferStructure, ReadsBasicNetsFromOrderAndShapes) {
  for (const char* net : {"resnet18", "resnet34"}) {
    const ResNetShape& shape = find_known_net(net)->shape;
    for (const auto& name : {module_name, plain_name}) {
      auto tensors = tensors_of(shape, name);
      const Recipe recipe = choose_recipe({}, tensors);
      EXPECT_EQ(recipe.name, net);
      EXPECT_EQ(read_resnet(TensorIndex(tensors)), shape);
      EXPECT_TRUE(mentions(recipe.why, "blocks of two 3x3 in stages")) << recipe.why;
      EXPECT_NO_THROW(map_tensors(recipe, TensorIndex(tensors)));
    }
  }
}

TEST(InferStructure, FindsBatchNormsRolesByTheirNamesInAnyOrder) {
  auto tensors = tensors_of(find_known_net("resnet18")->shape, module_name);
  for (std::size_t i = 0; i + 3 < tensors.size(); ++i) {
    if (!tensors[i].name.ends_with("gamma")) continue;
    std::reverse(tensors.begin() + static_cast<std::ptrdiff_t>(i),
                 tensors.begin() + static_cast<std::ptrdiff_t>(i + 4));
    i += 3;
  }
  choose_recipe({}, tensors);
  for (const SourceTensor& tensor : tensors) {
    EXPECT_EQ(tensor.name.ends_with("running_mean"), tensor.key.ends_with("mean")) << tensor.key;
    EXPECT_EQ(tensor.name.ends_with("running_var"), tensor.key.ends_with("var")) << tensor.key;
  }
}

TEST(InferStructure, AsksWhereBottlenecksStride) {
  const ResNetShape& shape = find_known_net("resnext50_32x4d")->shape;
  const std::string text = refusal(tensors_of(shape, module_name));
  EXPECT_TRUE(mentions(text, "--arch resnet,stride=3x3")) << text;
  EXPECT_TRUE(mentions(text, "stride=1x1")) << text;
  for (const bool in_1x1 : {false, true}) {
    auto tensors = tensors_of(shape, module_name);
    ArchChoice choice;
    choice.name = "resnet";
    choice.answers.stride_in_1x1 = in_1x1;
    const Recipe recipe = choose_recipe(choice, tensors);
    EXPECT_EQ(read_resnet(TensorIndex(tensors)), shape);
    EXPECT_EQ(recipe.name, in_1x1 ? "resnet" : "resnext50_32x4d");
  }
}

TEST(InferStructure, AsksWhatA3x3StemDoes) {
  auto tensors = tensors_of(find_known_net("resnet18")->shape, module_name);
  tensors[0].shape = {64, 3, 3, 3};
  const std::string text = refusal(tensors);
  EXPECT_TRUE(mentions(text, "stem=cifar")) << text;
  EXPECT_TRUE(mentions(text, "stem=imagenet")) << text;
  EXPECT_TRUE(mentions(text, "stem=deep")) << text;  // the first block could be part of the stem
  ArchChoice choice;
  choice.name = "resnet";
  choice.answers.stem = StemAnswer::cifar;
  EXPECT_TRUE(mentions(choose_recipe(choice, tensors).why, "3x3 stem of stride 1, no stem pool"));
}

TEST(InferStructure, AsksWhetherTheShortcutsOfADeepStemPool) {
  const ResNetShape& shape = find_known_net("resnet18d")->shape;
  const std::string text = refusal(tensors_of(shape, module_name));
  EXPECT_TRUE(mentions(text, "shortcut=pool")) << text;
  EXPECT_TRUE(mentions(text, "shortcut=conv")) << text;
  for (const bool pool : {false, true}) {
    auto tensors = tensors_of(shape, module_name);
    ArchChoice choice;
    choice.name = "resnet";
    choice.answers.average_down = pool;
    const Recipe recipe = choose_recipe(choice, tensors);
    EXPECT_EQ(recipe.name, pool ? "resnet18d" : "resnet");
    EXPECT_NO_THROW(map_tensors(recipe, TensorIndex(tensors)));
  }
}

TEST(InferStructure, AsksWhetherAProjectionOfEqualWidthStrides) {
  ResNetArgs args;
  args.layers = {1, 1};
  args.channels = {8, 16};
  args.plain_stem = 8;
  ResNetShape shape = make_shape(args);
  shape.stages[0][0].projection = 1;
  const auto tensors = tensors_of(shape, module_name);
  const std::string text = refusal(tensors);
  EXPECT_TRUE(mentions(text, "does it stride (--arch resnet,first_stride=2) or not (first_stride=1)?")) << text;
  for (const bool strides : {false, true}) {
    auto copy = tensors;
    ArchChoice choice;
    choice.name = "resnet";
    choice.answers.stride_in_first_stage = strides;
    EXPECT_EQ(mentions(choose_recipe(choice, copy).why, "stride 2 in the first stage"), strides);
  }
}

TEST(InferStructure, SaysWhatOrderDecidedAndWhatWasAssumed) {
  auto tensors = tensors_of(find_known_net("resnet18")->shape, module_name);
  const Recipe recipe = choose_recipe({}, tensors);
  EXPECT_TRUE(mentions(recipe.why, "no other sequence of residual blocks has them")) << recipe.why;
  EXPECT_FALSE(mentions(recipe.why, "no other ResNet"));
  EXPECT_TRUE(mentions(recipe.assumed, "strides of 2 where the later stages begin, aa=none, stem=imagenet"))
      << recipe.assumed;
}

TEST(InferStructure, TakesNoOrderFromAFileThatSortsItsTensors) {
  auto tensors = tensors_of(find_known_net("resnet18")->shape, module_name);
  ArchChoice choice;
  choice.ordered = false;
  const Error error = error_of([&] { choose_recipe(choice, tensors); });
  EXPECT_TRUE(mentions(error.what(), "is lost: safetensors sorts its tensors")) << error.what();
  EXPECT_TRUE(mentions(error.what(), "save the state dict with torch.save")) << error.what();
}

TEST(InferStructure, AcceptsAllConvolutionsOfABlockBeforeItsBatchNorms) {
  auto tensors = tensors_of(find_known_net("resnet18")->shape, module_name);
  // Stem convolution and norm, then conv, norm x4, conv, norm x4 of the first block.
  std::rotate(tensors.begin() + 6, tensors.begin() + 10, tensors.begin() + 11);
  EXPECT_EQ(choose_recipe({}, tensors).name, "resnet18");
}

TEST(InferStructure, SaysWhatDoesNotFit) {
  auto tensors = tensors_of(find_known_net("resnet18")->shape, module_name);
  std::swap(tensors[0], tensors[5]);
  EXPECT_TRUE(mentions(refusal(tensors), "no sequence of residual blocks has the 20 convolutions in their order"));
  tensors = tensors_of(find_known_net("resnet18")->shape, module_name);
  tensors.erase(tensors.begin() + 8);
  EXPECT_TRUE(mentions(refusal(tensors), "is no part of a convolution, a batch norm or a dense layer"));
  tensors = tensors_of(find_known_net("resnet18")->shape, module_name);
  tensors.resize(tensors.size() - 2);
  EXPECT_TRUE(mentions(refusal(tensors), "20 convolutions with batch norm and no classifier, as in a backbone"));
}

TEST(InferStructure, RefusesWhatTwoResNetsHaveInCommon) {
  // Equal widths: a stem of three convolutions, or of one and a block more.
  ResNetArgs args;
  args.layers = {2};
  args.channels = {8};
  args.plain_stem = 8;
  ResNetShape shape = make_shape(args);
  shape.stem_kernel = 3;
  std::string why_not;
  EXPECT_FALSE(infer_structure(tensors_of(shape, module_name), {}, why_not));
  EXPECT_TRUE(mentions(why_not, "several ResNets")) << why_not;
  EXPECT_TRUE(infer_structure(tensors_of(shape, module_name), false, why_not));
  EXPECT_TRUE(infer_structure(tensors_of(shape, module_name), true, why_not));
}

}  // namespace
}  // namespace resnet::convert
