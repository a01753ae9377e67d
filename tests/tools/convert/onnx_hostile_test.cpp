// ONNX files that lie: sizes, cycles, names, cuts and damage. Each gives one clear error, in bounded time and memory.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "convert/importers/importer.hpp"
#include "fuzz/onnx_fuzz.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"
#include "tools/convert/mutate.hpp"
#include "tools/convert/onnx_bytes.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;
using test::onnx::attribute;
using test::onnx::field;
using test::onnx::ModelBytes;
using test::onnx::number;
using test::onnx::tensor;
using test::onnx::tensor_attribute;
using Ints = std::vector<std::int64_t>;

Imported import(const std::string& bytes) {
  const SourceFile file = SourceFile::from_bytes(to_bytes(bytes), "model.onnx");
  Imported imported = find_importer(file).read(file);
  imported.storages.reset();
  return imported;
}
void expect_refusal(const std::string& bytes, const std::string& part) {
  const Error error = error_of([&] { import(bytes); });
  EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  EXPECT_NE(error.code(), ErrorCode::internal);
}
void expect_refusal(const ModelBytes& model, const std::string& part) { expect_refusal(model.bytes(), part); }

ModelBytes relu() {
  ModelBytes model;
  model.add("Relu", {"x"}, {"y"});
  return model;
}

TEST(OnnxHostile, CyclesAreNamed) {
  ModelBytes model;
  model.add("Add", {"x", "b"}, {"a"}).add("Relu", {"a"}, {"b"}).add("Relu", {"b"}, {"y"});
  expect_refusal(model, "the graph has a cycle");
  model = ModelBytes();
  model.add("Add", {"x", "y"}, {"y"});
  expect_refusal(model, "the graph has a cycle");
}

TEST(OnnxHostile, NamesMustExistOnce) {
  ModelBytes model = relu();
  model.add("Relu", {"x"}, {"y"});
  expect_refusal(model, "makes \"y\", which exists already");
  model = ModelBytes();
  model.add("Relu", {"x"}, {"x"});
  expect_refusal(model, "makes \"x\", which exists already");
  model = relu();
  model.weight(tensor("w", {1})).weight(tensor("w", {1}));
  expect_refusal(model, "two weights have the name \"w\"");
  model = ModelBytes();
  model.add("Conv", {"x", "missing"}, {"y"});
  expect_refusal(model, "reads \"missing\", which is no input");
  model = ModelBytes();
  model.add("Conv", {"x"}, {"y"});
  expect_refusal(model, "input 1 is missing");
  model = ModelBytes();
  model.add("Relu", {}, {"y"});
  expect_refusal(model, "input 0 is missing");
}

TEST(OnnxHostile, TensorsHoldWhatTheirShapeSays) {
  const auto with = [](const std::string& bytes) {
    ModelBytes model;
    model.weight(bytes).add("Conv", {"x", "w"}, {"y"});
    return model;
  };
  const std::string huge = number(1, std::int64_t{1} << 40);
  expect_refusal(with(huge + huge + number(2, 1) + field(8, "w")), "does not fit into 64 bits");
  expect_refusal(with(huge + number(2, 1) + field(8, "w")), "but has 0 bytes of values");
  expect_refusal(with(number(1, -4) + number(2, 1) + field(8, "w")), "negative size");
  expect_refusal(with(tensor("w", {4, 3, 3, 3}) + number(1, 2)), "bytes of values");
  expect_refusal(with(tensor("w", {4, 3, 3, 3}) + field(9, "abcd")), "in several pieces");
  expect_refusal(with(number(2, 8) + field(6, "text") + field(8, "w")), "are scalar");  // a string
  std::string many;
  for (int i = 0; i < 9; ++i) many += number(1, 1);
  expect_refusal(with(many + number(2, 1) + field(8, "w")), "9 dimensions");
  expect_refusal(with(tensor("w", {std::int64_t{1} << 20, 0})), "a two-dimensional convolution");
}

TEST(OnnxHostile, HugeSizesAreErrorsNotAllocations) {
  ModelBytes model;
  model.inputs = {onnx::value("x", {1, 3, std::int64_t{1} << 40, std::int64_t{1} << 40})};
  model.add("Relu", {"x"}, {"y"});
  expect_refusal(model, "x");
  model = relu();
  model.add("ConstantOfShape", {"s"}, {"big"}).add("Reshape", {"y", "big"}, {"z"});
  model.weight(tensor("s", {2}, Ints{std::int64_t{1} << 40, std::int64_t{1} << 40}));
  model.outputs = {onnx::value("z", {1})};
  expect_refusal(model, "ConstantOfShape");
}

TEST(OnnxHostile, AChainOfTenThousandNodesIsWalkedWithoutRecursion) {
  ModelBytes model;
  std::string last = "x";
  for (int i = 0; i < 10'000; ++i) {
    const std::string next = i == 9999 ? "y" : 'v' + std::to_string(i);
    model.add(i % 2 == 0 ? "Relu" : "Identity", {last}, {next});
    last = next;
  }
  EXPECT_EQ(import(model.bytes()).graph->layers.size(), 5001u);
  // The same backwards: the walk starts at the output.
  std::reverse(model.nodes.begin(), model.nodes.end());
  EXPECT_EQ(import(model.bytes()).graph->layers.size(), 5001u);
}

TEST(OnnxHostile, NodesEndAtALimit) {
  ModelBytes model;
  for (int i = 0; i <= 20'000; ++i) model.add("Relu", {"x"}, {'v' + std::to_string(i)});
  expect_refusal(model, "more than 20000 nodes");
}

TEST(OnnxHostile, NestedGraphsEndAtALimit) {
  std::string nested;
  for (int i = 0; i < 5000; ++i) nested = field(1, field(5, field(1, "g") + field(6, nested) + number(20, 5)));
  ModelBytes model = relu();
  model.graph_extra = nested;
  expect_refusal(model, "inside a node");
}

TEST(OnnxHostile, ShapesCannotBeComputedForEver) {
  ModelBytes model = relu();
  model.weight(tensor("one", {1}, Ints{1}));
  std::string last = "one";
  for (int i = 0; i < 40; ++i) {  // doubles every time
    model.add("Concat", {last, last}, {"c" + std::to_string(i)}, {attribute("axis", std::int64_t{0})});
    last = "c" + std::to_string(i);
  }
  model.add("Reshape", {"y", last}, {"z"});
  model.outputs = {onnx::value("z", {1})};
  expect_refusal(model, "more than 1024 numbers");
}

TEST(OnnxHostile, EmptyConstantsAndAxesNamedTwiceAreErrors) {
  const auto reshaped = [](const std::vector<Ints>& slice) {  // starts, ends, axes, steps of [1, 3, 8, 8]
    ModelBytes model = relu();
    model.add("Shape", {"y"}, {"s"})
        .add("Slice", {"s", "i0", "i1", "i2", "i3"}, {"t"})
        .add("Reshape", {"y", "t"}, {"z"});
    for (std::size_t i = 0; i < 4; ++i) {
      model.weight(tensor("i" + std::to_string(i), {static_cast<std::int64_t>(slice[i].size())}, slice[i]));
    }
    model.outputs = {onnx::value("z", {1})};
    return model;
  };
  EXPECT_EQ(import(reshaped({{0}, {9}, {0}, {1}}).bytes()).graph->layers.size(), 2u);
  expect_refusal(reshaped({{0, 0}, {4, 4}, {0, 0}, {2, 2}}), "an axis twice");
  expect_refusal(reshaped({{0}, {4}, {1}, {1}}), "axis 1 of a constant with 1 axes");
  expect_refusal(reshaped({{0}, {4}, {0}, {0}}), "a step of 0");
  expect_refusal(reshaped({{3}, {-9}, {0}, {-1}}), "the number of images");  // turned round
  expect_refusal(reshaped({{4}, {2}, {0}, {1}}), "1 to 8 sizes");
  ModelBytes model = relu();
  model.weight(tensor("none", {0}, Ints{})).weight(tensor("empty", {0})).weight(tensor("m", {0, 192}));
  model.add("Flatten", {"y"}, {"f"});
  model.outputs = {onnx::value("z", {1})};
  ModelBytes other = model;
  other.add("Gemm", {"f", "m", "empty"}, {"z"}, {attribute("transB", std::int64_t{1}), attribute("alpha", 2.0f)});
  expect_refusal(other, "its bias is 0");
  other = model;
  other.weight(tensor("p", {8}, Ints{0, 0, 1, 1, 0, 0, 1, 1})).add("Pad", {"y", "p", "empty"}, {"z"});
  expect_refusal(other, "is empty, a number is expected");
  other = model;
  other.add("Add", {"y", "empty"}, {"z"});
  expect_refusal(other, "neither one number nor one per channel");
  other = model;
  other.weight(tensor("from", {1}, Ints{3})).weight(tensor("to", {1}, Ints{0})).weight(tensor("back", {1}, Ints{-1}));
  other.weight(tensor("axis", {1}, Ints{0})).add("Slice", {"none", "from", "to", "axis", "back"}, {"t"});
  expect_refusal(other.add("Reshape", {"y", "t"}, {"z"}), "1 to 8 sizes");
  other = model;
  other.add("Slice", {"none", "none", "none"}, {"t"}).add("Reshape", {"y", "t"}, {"z"});
  expect_refusal(other, "1 to 8 sizes");
}

TEST(OnnxHostile, LongListsAreNotPrintedWhole) {
  ModelBytes model;
  model.weight(tensor("w", {4, 3, 3, 3})).add("Conv", {"x", "w"}, {"y"}, {attribute("strides", Ints(100'000, 1))});
  const std::string message = error_of([&] { import(model.bytes()); }).what();
  EXPECT_NE(message.find("[1, 1, 1, 1, 1, 1, 1, 1, and 99992 more]"), std::string::npos) << message.substr(0, 300);
  EXPECT_LT(message.size(), 500u);
}

TEST(OnnxHostile, ExternalDataNeedsAPlainNameAndLeave) {
  const auto external = [](const std::string& location, const std::string& offset = "0",
                           const std::string& length = "432") {
    ModelBytes model;
    const auto entry = [](const std::string& key, const std::string& text) {
      return field(13, field(1, key) + field(2, text));
    };
    model.weight(number(1, 4) + number(1, 3) + number(1, 3) + number(1, 3) + number(2, 1) + field(8, "w") +
                 entry("location", location) + entry("offset", offset) + entry("length", length) + number(14, 1));
    return model.add("Conv", {"x", "w"}, {"y"}).bytes();
  };
  for (const char* name : {"/etc/passwd", "../w.bin", "a/b.bin", "a\\b", "..", ".", ""}) {
    expect_refusal(external(name), "which is no plain file name");
  }
  expect_refusal(external("w.bin"), "--allow-external-data");
  const auto read_beside = [&](const std::string& bytes) {
    const SourceFile file = SourceFile::from_bytes(to_bytes(bytes), "model.onnx");
    SourceFiles files(file);
    files.beside.emplace("w.bin", SourceFile::from_bytes(std::vector<std::byte>(500), "w.bin"));
    files.external_data = true;
    files.beside.emplace("config.json", SourceFile::from_bytes(std::vector<std::byte>(500), "config.json"));
    files.no_external.emplace("config.json", SourceFiles::Unreadable{"config.json", "has another name", "save again"});
    const Imported imported = onnx_importer.read(files);
    return imported.storages->read(imported.tensors.at(0).storage).size();
  };
  EXPECT_EQ(read_beside(external("w.bin")), 432u);
  EXPECT_EQ(read_beside(external("w.bin", "68")), 432u);
  EXPECT_THROW(read_beside(external("w.bin", "69")), Error);
  EXPECT_THROW(read_beside(external("w.bin", "18446744073709551615")), Error);
  EXPECT_THROW(read_beside(external("w.bin", "-1")), Error);
  EXPECT_THROW(read_beside(external("w.bin", "0", "400")), Error);
  EXPECT_THROW(read_beside(external("other.bin")), Error);
  EXPECT_EQ(error_of([&] { read_beside(external("config.json")); }).message(), "has another name");
}

TEST(OnnxHostile, FieldsThatAreNoModelAreRefused) {
  expect_refusal(relu().bytes() + relu().bytes(), "holds two graphs");
  expect_refusal(number(1, 8) + field(2, "p") + field(8, number(2, 17)), "holds no graph");
  ModelBytes model = relu();
  model.graph_extra = field(15, "");
  expect_refusal(model, "sparse");
  model = relu();
  model.nodes[0] += field(5, attribute("a", std::int64_t{1})) + field(5, attribute("a", std::int64_t{1}));
  expect_refusal(model, "the attribute \"a\" twice");
  model = relu();
  model.nodes[0] += field(3, std::string(5000, 'n'));
  expect_refusal(model, "the limit is 4096");
  model = ModelBytes();
  model.add("LeakyRelu", {"x"}, {"y"}, {attribute("alpha", "text")});
  expect_refusal(model, "attribute alpha is no number");
}

/// Exports and the fuzzer's seeds.
std::vector<std::string> goldens() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(RESNET_SOURCE_DIR "/tests/golden/onnx")) {
    if (entry.path().extension() == ".onnx") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  for (std::string& file : files) file = read_text(file);
  return files;
}

TEST(OnnxHostile, EveryTruncationIsRefused) {
  for (const std::string& bytes : goldens()) {
    for (std::size_t part = 0; part < 64; ++part) {
      EXPECT_THROW(import(bytes.substr(0, bytes.size() * part / 64)), Error) << part;
    }
  }
}

TEST(OnnxHostile, DamageGivesAGraphOrAnError) {
  const std::vector<std::string> files = goldens();
  ASSERT_GE(files.size(), 16u);
  std::mt19937 random(7);
  int accepted = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = files[static_cast<std::size_t>(i) % files.size()];
    mutate(bytes, random);
    accepted += fuzz::read_onnx(to_bytes(bytes)) ? 1 : 0;
  }
  EXPECT_GT(accepted, 30);  // most damage hits weights, which have no checksum
  EXPECT_LT(accepted, 2900);
}

TEST(OnnxHostile, DamageToTheDescriptionGivesAGraphOrAnError) {
  // Small weights, so that the damage hits nodes and shapes.
  ModelBytes model;
  model.weight(tensor("w", {2, 3, 1, 1})).weight(tensor("m", {2, 2})).weight(tensor("b", {2}));
  model.weight(tensor("shape", {2}, Ints{0, -1})).weight(tensor("i", {}, Ints{0}));
  model.add("Conv", {"x", "w", "b"}, {"c"}, {attribute("pads", Ints{1, 1, 1, 1}), attribute("strides", Ints{2, 2})});
  model.add("BatchNormalization", {"c", "b", "b", "b", "b"}, {"n"}).add("Relu", {"n"}, {"r"});
  model.add("MaxPool", {"r"}, {"p"}, {attribute("kernel_shape", Ints{2, 2})}).add("Shape", {"p"}, {"s"});
  model.add("Gather", {"s", "i"}, {"n0"}).add("Unsqueeze", {"n0"}, {"n1"}, {attribute("axes", Ints{0})});
  model.add("ReduceMean", {"p"}, {"g"}, {attribute("axes", Ints{2, 3})}).add("Reshape", {"g", "shape"}, {"f"});
  model.add("Gemm", {"f", "m", "b"}, {"l"}).add("Softmax", {"l"}, {"y"});
  model.opset = 11;
  const std::string seed = model.bytes();
  ASSERT_TRUE(fuzz::read_onnx(to_bytes(seed)));
  std::mt19937 random(8);
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = seed;
    mutate(bytes, random);
    accepted += fuzz::read_onnx(to_bytes(bytes)) ? 1 : 0;
  }
  EXPECT_GT(accepted, 500);
}

TEST(OnnxHostile, TheFuzzersSeedsAreReadAndItsFindingsAnswered) {
  int seeds = 0;
  for (const auto& entry : std::filesystem::directory_iterator(RESNET_SOURCE_DIR "/tests/golden/onnx/fuzz")) {
    const bool accepted = fuzz::read_onnx(to_bytes(read_text(entry.path().string())));
    if (entry.path().filename().string().starts_with("found_")) continue;
    EXPECT_TRUE(accepted) << entry.path();
    ++seeds;
  }
  EXPECT_EQ(seeds, 5);
}

}  // namespace
}  // namespace resnet::convert
