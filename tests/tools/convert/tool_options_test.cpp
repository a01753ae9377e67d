// Labels, presets, input sizes, recipes and key maps of resnet_convert.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/model_file.hpp"
#include "resnet_engine/image.hpp"
#include "tools/convert/convert_tool.hpp"

namespace resnet::convert {
namespace {

TEST_F(ConvertTool, TakesLabelsPresetAndInputSize) {
  const std::string labels = write("labels.txt", "zero\none\r\ntwo\n3\n4\n5\n6\n7\n8\nnine\n");
  const Result run =
      convert(source + " --labels " + labels + " --preset torchvision-v2 --input-size 112x448 -o " + output);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_FALSE(mentions(run.out, "hint"));
  const auto model = ModelFile::open(output);
  EXPECT_EQ(model->header().labels[1], "one");
  EXPECT_EQ(model->header().labels[9], "nine");
  EXPECT_EQ(model->header().graph.input_dims(), (Dims{1, 112, 448, 3}));
  EXPECT_EQ(Preprocess::from_json(model->header().preprocess_json).to_json(),
            Preprocess::preset("torchvision-v2").with_input_size(112, 448).to_json());
}

TEST_F(ConvertTool, FitsANamedPresetToTheNetworksInput) {
  const auto stored = [&] { return ModelFile::open(output)->header().preprocess_json; };
  const auto fitted = [](const char* name, std::int64_t height, std::int64_t width) {
    return Preprocess::preset(name).with_input_size(height, width).to_json();
  };
  const auto recipe = [&](const std::string& preprocess) {
    return write("tiny.json", R"({"output": "fc", "preprocess": )" + preprocess + R"(, "layers": [
      {"name": "input", "op": "input", "attrs": {"channels": 3, "height": 32, "width": 48}},
      {"name": "pool", "op": "global_avg_pool", "inputs": ["input"]},
      {"name": "fc", "op": "dense", "inputs": ["pool"], "weights": {"weight": "head.weight"}}]})");
  };
  const std::string weights = write("tiny.pth", torch_file({{"head.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}}));

  Result run = convert(source + " --preset keras-tf -o " + output);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(stored(), Preprocess::preset("keras-tf").to_json());  // 224 x 224 both: nothing to fit
  ResNetShape gray = small_net();
  gray.input_channels = 1;
  run = convert(write("gray.pth", torch_file(small_tensors(gray))) + " --preset gray-small -o " + output);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(stored(), fitted("gray-small", 224, 224));
  run = convert(recipe(R"("torchvision")") + " --weights " + weights + " -o " + output);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(stored(), fitted("torchvision", 32, 48));
  run = convert(recipe(R"("torchvision")") + " --preset keras-tf --weights " + weights + " -o " + output);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(stored(), fitted("keras-tf", 32, 48));

  // What the recipe spells out is meant; only --input-size changes it.
  const std::string object = fitted("torchvision", 30, 40);
  run = convert(recipe(object) + " --weights " + weights + " -o " + output);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(stored(), object);
  run = convert(recipe(object) + " --input-size 60x80 --weights " + weights + " -o " + output);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(stored(), Preprocess::from_json(object).with_input_size(60, 80).to_json());
}

TEST_F(ConvertTool, RefusesAPresetOfOtherChannelsThanTheNetworks) {
  ResNetShape gray = small_net();
  gray.input_channels = 1;
  const std::string gray_source = write("gray.pth", torch_file(small_tensors(gray)));
  Result run = convert(source + " --preset gray-small -o " + output);
  EXPECT_EQ(run.code, 2) << run.err;
  EXPECT_TRUE(mentions(run.err, "--preset: preset gray-small makes 1 channel, but the network takes 3")) << run.err;
  EXPECT_TRUE(mentions(run.err, "torchvision-v2")) << run.err;
  run = convert(gray_source + " --preset torchvision -o " + output);
  EXPECT_EQ(run.code, 2) << run.err;
  EXPECT_TRUE(
      mentions(run.err, "torchvision makes 3 channels, but the network takes 1; choose with --preset among gray"))
      << run.err;

  const std::string recipe = write("tiny.json", R"({"output": "fc", "preprocess": "gray-small", "layers": [
    {"name": "input", "op": "input", "attrs": {"channels": 3, "height": 32, "width": 32}},
    {"name": "pool", "op": "global_avg_pool", "inputs": ["input"]},
    {"name": "fc", "op": "dense", "inputs": ["pool"], "weights": {"weight": "head.weight"}}]})");
  const std::string weights = write("tiny.pth", torch_file({{"head.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}}));
  run = convert(recipe + " --weights " + weights + " -o " + output);
  EXPECT_EQ(run.code, 3) << run.err;
  EXPECT_TRUE(mentions(run.err, "tiny.json: preset gray-small makes 1 channel")) << run.err;
  EXPECT_FALSE(exists("small.rne"));
  EXPECT_EQ(convert(recipe + " --preset keras-tf --weights " + weights + " -o " + output).code, 0);
}

TEST_F(ConvertTool, NamesOfEndlessLengthAreNotPrinted) {
  const std::string named = write("named.pth", torch_file({{std::string(1001, 'k'), {1}, {1}}}));
  const Result run = convert(named + " -o " + output);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "a tensor's name has 1001 bytes, the limit is 1000")) << run.err;
  EXPECT_LT(run.err.size(), 300u);
}

TEST_F(ConvertTool, NetworksOfEndlessSizeAreRefused) {
  const std::string recipe = write("tiny.json", R"({"output": "fc", "layers": [
    {"name": "input", "op": "input", "attrs": {"channels": 3, "height": 1048576, "width": 1048576}},
    {"name": "pool", "op": "global_avg_pool", "inputs": ["input"]},
    {"name": "fc", "op": "dense", "inputs": ["pool"], "weights": {"weight": "head.weight"}}]})");
  const std::string weights = write("tiny.pth", torch_file({{"head.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}}));
  const Result run = convert(recipe + " --weights " + weights + " -o " + output);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "layer \"input\": makes 1x1048576x1048576x3 values of one picture")) << run.err;
  EXPECT_FALSE(exists("small.rne"));
  EXPECT_EQ(convert(recipe + " --input-size 8x8 --weights " + weights + " -o " + output).code, 0);

  const std::string empty = write("empty.json", R"({"output": "fc", "layers": [
    {"name": "fc", "op": "dense", "inputs": ["pool"], "weights": {"weight": "head.weight"}}]})");
  const Result unfit = convert(empty + " --weights " + weights + " -o " + output);
  EXPECT_EQ(unfit.code, 3);
  EXPECT_TRUE(mentions(unfit.err, "empty.json: ")) << unfit.err;  // the weights are not to blame
}

TEST_F(ConvertTool, WhatIsWrongInARecipeIsTheRecipesFault) {
  const std::string weights = write("tiny.pth", torch_file({{"head.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}}));
  const auto refused = [&](const std::string& members, const std::string& place, const std::string& why) {
    const std::string recipe = write("tiny.json", "{" + members + R"("layers": [
      {"name": "input", "op": "input", "attrs": {"channels": 3, "height": 32, "width": 32}},
      {"name": "pool", "op": "global_avg_pool", "inputs": ["input"]},
      {"name": "fc", "op": "dense", "inputs": ["pool"], "weights": {"weight": "head.weight"}}]})");
    const Result run = convert(recipe + " --weights " + weights + " -o " + output);
    EXPECT_EQ(run.code, 3) << run.out << run.err;
    EXPECT_EQ(run.err.rfind("resnet_convert: " + recipe + place + why, 0), 0u) << run.err;
    EXPECT_TRUE(mentions(run.err, "; ")) << run.err;
  };
  refused(R"("output": "fc", "labels": ["a"], )", ": labels: ", "1 labels, but the network puts out 2 values");
  refused(R"("output": "fc", "preprocess": "foo", )", ": preprocess: ", "there is no preprocessing preset \"foo\"");
  refused(R"("output": "fc", "preprocess": {"a": 1}, )", ": preprocess.a: ", "the field is unknown");
  refused(R"("output": "fc", "parameters": -5, )", ": parameters: ", "-5 is negative");
  refused(R"("output": "fc", "description": 5, )", ": description: ", "expected a string");
  refused(R"("output": "nothing", )", ": layer list: ", "the output 'nothing' is no layer");
}

TEST_F(ConvertTool, AnInputSizeThatAPresetCannotScaleToIsTheOptions) {
  const Result run = convert(source + " --input-size 16384x16384 -o " + output);
  EXPECT_EQ(run.code, 2) << run.err;
  EXPECT_TRUE(mentions(run.err, "resnet_convert: --input-size: preset torchvision cannot scale to it: ")) << run.err;
}

TEST_F(ConvertTool, AMessageAboutAnOptionsFileNamesThatFile) {
  const auto refused = [&](const std::string& option, const std::string& file, const std::string& text) {
    const Result run = convert(source + ' ' + option + ' ' + file + " -o " + output);
    EXPECT_NE(run.code, 0);
    EXPECT_TRUE(mentions(run.err, text)) << run.err;
    return run.code;
  };
  const std::string labels = write("names.txt", "a\nb\n\xff\n");
  EXPECT_EQ(refused("--labels", labels, "resnet_convert: --labels " + labels + " line 3: is no UTF-8; "), 2);
  const std::string map = write("renames.txt", "\nfc.* -> " + std::string(995, 'x') + "*\n");
  EXPECT_EQ(refused("--map", map, "resnet_convert: " + map + " line 2: has "), 2);
  const std::string growing = write("renames.txt", "\n* -> " + std::string(990, 'x') + "*\n");
  EXPECT_EQ(refused("--map", growing, "resnet_convert: " + map + " line 2: makes a name of 1002 bytes"), 2);
  EXPECT_EQ(refused("--labels", folder.path(), "is a directory; name a text file with one class name per line"), 3);
  EXPECT_EQ(refused("--map", folder.path(), "is a directory; name a text file of lines"), 3);
  EXPECT_EQ(refused("--labels", write("large.txt", std::string((4u << 20) + 1, 'a')), "is larger than 4 MiB"), 2);
}

TEST_F(ConvertTool, AnAnswerIsGivenOnce) {
  const Result run = convert(source + " --arch resnet,stem=cifar,stem=imagenet -o " + output);
  EXPECT_EQ(run.code, 2) << run.out;
  EXPECT_TRUE(mentions(run.err, "--arch: answers \"stem\" twice")) << run.err;
}

TEST_F(ConvertTool, RenamesKeysThroughAMap) {
  auto tensors = small_tensors();
  for (TorchTensor& tensor : tensors) tensor.name = "net.backbone." + tensor.name;
  tensors.push_back({"net.projector.weight", {1}, {1}});
  const std::string renamed = write("renamed.pth", torch_file(tensors));
  const Result refused = convert(renamed + " -o " + output);
  EXPECT_EQ(refused.code, 3);
  const std::string map = write("map.txt", "net.projector.* -> -  # not needed\nnet.backbone.* -> *\n");
  EXPECT_EQ(convert(renamed + " --map " + map + " -o " + output).code, 0);
  const std::string more = write("more.txt", "net.projector.* -> -\nhead.* -> fc.*\nnet.backbone.* -> *\naux* -> -\n");
  const Result run = convert(renamed + " --map " + more + " -o " + output);
  EXPECT_TRUE(mentions(run.out, "--map: no key is left for head.*, aux*\n")) << run.out;
}

TEST_F(ConvertTool, ReportsWhatItAssumedUnlessTheArchitectureIsNamed) {
  const std::string resnet = RESNET_SOURCE_DIR "/tests/golden/torch/bottleneck.pth";
  const Result run = convert(resnet + " -o " + output);
  EXPECT_TRUE(mentions(run.out, "\nassumed     stride=3x3, aa=none, ")) << run.out << run.err;
  EXPECT_TRUE(mentions(run.out, "otherwise: --arch resnet,stride=1x1, docs/convert.md)\n")) << run.out;
}

TEST_F(ConvertTool, NamesTheFileWhoseNetworkIsUnknown) {
  const std::string other = write("other.pth", torch_file({{"a.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}}));
  const Result run = convert(other + " -o " + output);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "resnet_convert: " + other + ": no known architecture has these tensors (1: a.weight)"))
      << run.err;
}

TEST_F(ConvertTool, TakesARecipeEitherWay) {
  const std::string recipe = write("tiny.json", R"({"output": "fc", "labels": ["a", "b"], "layers": [
    {"name": "input", "op": "input", "attrs": {"channels": 3, "height": 8, "width": 8}},
    {"name": "pool", "op": "global_avg_pool", "inputs": ["input"]},
    {"name": "fc", "op": "dense", "inputs": ["pool"], "weights": {"weight": "head.weight", "bias": "head.bias"}}]})");
  const std::string weights =
      write("tiny.pth", torch_file({{"head.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"head.bias", {2}, {7, 8}}}));
  const Result run = convert(weights + " --arch " + recipe + " -o " + output);
  ASSERT_EQ(run.code, 0) << run.err;
  ASSERT_EQ(convert(recipe + " --weights " + weights + " -o " + (folder / "other.rne")).code, 0);
  EXPECT_EQ(ModelFile::open(output)->header().labels, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(read_text(output) == read_text(folder / "other.rne"));
}

TEST_F(ConvertTool, ARecipeOfAnotherNumberOfParametersIsRefusedWithBoth) {
  const auto recipe = [&](const std::string& parameters) {
    return write("tiny.json", R"({"name": "tiny", "output": "fc", "parameters": )" + parameters + R"(, "layers": [
      {"name": "input", "op": "input", "attrs": {"channels": 3, "height": 8, "width": 8}},
      {"name": "pool", "op": "global_avg_pool", "inputs": ["input"]},
      {"name": "fc", "op": "dense", "inputs": ["pool"], "weights": {"weight": "head.weight"}}]})");
  };
  const std::string weights = write("tiny.pth", torch_file({{"head.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}}));
  const Result run = convert(recipe("57") + " --weights " + weights + " -o " + output);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "tiny: expects 57 parameters, but the weights are 6")) << run.err;
  EXPECT_FALSE(exists("small.rne"));
  EXPECT_EQ(convert(recipe("6") + " --weights " + weights + " -o " + output).code, 0);
}

}  // namespace
}  // namespace resnet::convert
