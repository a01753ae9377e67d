// The networks of docs/models.md: their sizes are those that their authors published (or that follow from their code).
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <utility>

#include "convert/embedded.hpp"
#include "convert/importers/keras_applications.hpp"
#include "convert/importers/keras_graph.hpp"
#include "convert/recipe.hpp"
#include "convert/tensors.hpp"
#include "graph/graph.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/golden_check.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

struct Size {
  std::int64_t trainable = 0, running = 0, macs = 0, classes = 0, flattened = 0;
};

/// Builds the graph from shapes alone: no weights are needed to count them.
Size size_of(const Recipe& recipe) {
  TensorTable table;
  Size size;
  for (const WantedTensor& wanted : wanted_tensors(recipe)) {
    TensorShape shape = recipe.expected.at(wanted.key);
    if (shape.size() == 4) shape = {shape[0], shape[2], shape[3], shape[1]};
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    (wanted.role == "mean" || wanted.role == "var" ? size.running : size.trainable) += count;
    table[wanted.key] = {DType::f32, std::move(shape)};
  }
  const Graph graph = build_graph(recipe.layers, recipe.output, std::move(table));
  const Dims input = graph.input_dims();
  const auto shapes = infer_shapes(graph, 1, input.h, input.w);
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
    size.macs += node_macs(graph, id, shapes);
    if (graph.nodes[static_cast<std::size_t>(id)].op->name == "flatten")
      size.flattened = shapes[static_cast<std::size_t>(id)].c;
  }
  size.classes = shapes[static_cast<std::size_t>(graph.output)].c;
  return size;
}

Recipe keras_recipe_of(const std::string& name) {
  const std::string json = read_text(golden_path("keras/" + name));
  return keras_graph(parse_keras_model(json, name), 2, name).recipe;
}

TEST(SourceModels, Model0HasItsPublishedSize) {
  const Size size = size_of(keras_recipe_of("source_model0.json"));
  EXPECT_EQ(size.trainable, 25'848'714);
  EXPECT_EQ(size.running, 0);
  EXPECT_EQ(size.flattened, 200'704);
  EXPECT_EQ(size.classes, 10);
  EXPECT_NEAR(static_cast<double>(size.macs), 0.606e9, 0.0005e9);
}

TEST(SourceModels, Model1HasItsPublishedSize) {
  const Size size = size_of(keras_recipe_of("source_model1.json"));
  EXPECT_EQ(size.trainable, 21'298'314);
  EXPECT_EQ(size.running, 17'024);
  EXPECT_EQ(size.classes, 10);
  EXPECT_NEAR(static_cast<double>(size.macs), 66.78e9, 0.005e9);
}

TEST(SourceModels, Model3HasItsPublishedSize) {
  const Size size = size_of(keras_recipe_of("source_model3.json"));
  EXPECT_EQ(size.trainable, 23'546'886);
  EXPECT_EQ(size.running, 53'120);
  EXPECT_EQ(size.flattened, 2048);
  EXPECT_EQ(size.classes, 6);
}

TEST(SourceModels, Model4sRecipeHasTheSizesOfItsWeights) {
  for (const EmbeddedText& text : embedded_recipes()) {
    if (text.name != "keras-subclassed-resnet50") continue;
    Recipe recipe = parse_recipe(text.text, std::string(text.name));
    // The recipe names weights; their shapes follow from the layers.
    std::map<std::string, std::int64_t> channels = {{"input", 3}};
    std::int64_t flattened = 0;
    for (const LayerSpec& layer : recipe.layers) {
      if (layer.inputs.empty()) continue;
      std::int64_t out = channels.at(layer.inputs[0]);
      const auto expect = [&](const char* role, TensorShape shape) {
        recipe.expected[layer.weights.at(role)] = std::move(shape);
      };
      if (layer.op == "conv2d") {
        const std::int64_t in = out;
        const std::string& name = layer.name;
        const bool stem = name == "stage_1_conv_block_1", middle = name.ends_with('b');
        const std::int64_t width = stem ? 64 : 64 << (name[name.find('_') + 1] - '2');
        out = name.ends_with('c') || name.ends_with('d') ? 4 * width : width;
        const std::int64_t kernel = stem ? 7 : middle ? 3 : 1;
        expect("weight", {out, in, kernel, kernel});
        expect("bias", {out});
      } else if (layer.op == "batch_norm") {
        for (const char* role : {"gamma", "beta", "mean", "var"}) expect(role, {out});
      } else if (layer.op == "flatten") {
        out *= 7 * 7;
        flattened = out;
      } else if (layer.op == "dense") {
        expect("weight", {47, out});
        expect("bias", {47});
        out = 47;
      }
      channels[layer.name] = out;
    }
    const Size size = size_of(recipe);
    EXPECT_EQ(size.trainable, 28'251'183);
    EXPECT_EQ(size.running, 53'120);
    EXPECT_EQ(size.flattened, flattened);
    EXPECT_EQ(flattened, 100'352);
    EXPECT_NEAR(static_cast<double>(size.macs), 3.74e9, 0.005e9);
    return;
  }
  FAIL() << "the recipe is not compiled in";
}

/// All of a recipe's layers as text, defaults filled in.
std::string described(const Recipe& recipe) {
  std::string text;
  for (const LayerSpec& layer : recipe.layers) {
    text += layer.name + ' ' + layer.op;
    for (const std::string& input : layer.inputs) text += " <" + input;
    for (const auto& [role, key] : layer.weights) text += ' ' + role + '=' + key + to_string(recipe.expected.at(key));
    const AttrMap attrs = complete_attrs(*find_op(layer.op), layer.attrs, layer.name);
    for (const auto& [name, value] : attrs) {
      text += ' ' + name + '=';
      if (const auto* number = std::get_if<std::int64_t>(&value)) text += std::to_string(*number);
      if (const auto* number = std::get_if<double>(&value)) text += std::to_string(*number * 1e9);
      if (const auto* word = std::get_if<std::string>(&value)) text += *word;
      if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) text += to_string(*list);
    }
    text += '\n';
  }
  return text;
}

TEST(KerasApplications, AreWhatKerasBuilds) {
  for (const std::string name : {"resnet50", "resnet50v2"}) {
    // Layers without a name of their own are numbered by Keras: the input and the pools of the shortcuts.
    const std::regex unnamed("input_[0-9]+|max_pooling2d(_[0-9]+)?|conv[0-9]_block[0-9]_0_pool");
    const auto plain = [&](const Recipe& recipe) { return std::regex_replace(described(recipe), unnamed, "input"); };
    const std::string built = plain(keras_graph(keras_application("keras:" + name, 1000), 2, name).recipe);
    const std::string keras = plain(keras_recipe_of("application_" + name + ".json"));
    EXPECT_EQ(built, keras) << name;
  }
  EXPECT_TRUE(keras_application("keras:resnet34", 10).layers.empty());
}

}  // namespace
}  // namespace resnet::convert
