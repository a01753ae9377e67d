// What a Keras configuration says is either done or refused, never dropped.
#include "convert/importers/keras_graph.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convert/importers/keras_weights.hpp"
#include "support/error_of.hpp"

namespace resnet::convert {
namespace {

using test::error_of;

/// A functional model of one layer after the input; `call` is the rest of Keras 2's [layer, call, output, arguments].
std::string one_layer(const std::string& class_name, const std::string& config, const std::string& arguments) {
  return R"({"class_name":"Functional","config":{"name":"m","layers":[
    {"class_name":"InputLayer","config":{"name":"in","batch_input_shape":[null,8,8,3]},"name":"in","inbound_nodes":[]},
    {"class_name":")" +
         class_name + R"(","config":{"name":"x")" + config + R"(},"name":"x","inbound_nodes":[[["in",0,0,)" +
         arguments + R"(]]]}],"input_layers":[["in",0,0]],"output_layers":[["x",0,0]]}})";
}

const std::string norm_keys = R"(,"axis":-1,"epsilon":0.001,"center":true,"scale":true)";

Recipe recipe(const std::string& json, int major) {
  return keras_graph(parse_keras_model(json, "model.json"), major, "model.json").recipe;
}
std::string refusal(const std::string& json, int major) {
  return error_of([&] { recipe(json, major); }).what();
}
bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(KerasGraph, TrainingAsAnArgumentCountsInKeras2Only) {
  for (const std::string kind : {"BatchNormalization", "Dropout"}) {
    const std::string json = one_layer(kind, norm_keys, R"({"training":true})");
    EXPECT_TRUE(mentions(refusal(json, 2), "layer \"x\": is called with training=True")) << kind;
    EXPECT_NO_THROW(recipe(json, 3)) << kind;
    EXPECT_NO_THROW(recipe(one_layer(kind, norm_keys, R"({"training":false})"), 2)) << kind;
  }
}

TEST(KerasGraph, FunctionsRefuseArgumentsThatTheyDoNotKnow) {
  const std::string softmax = R"(,"function":"nn.softmax")";
  EXPECT_NO_THROW(recipe(one_layer("TFOpLambda", softmax, R"({"axis":-1,"name":null})"), 2));
  EXPECT_TRUE(mentions(refusal(one_layer("TFOpLambda", softmax, R"({"axis":1})"), 2), "acts on axis 1"));
  EXPECT_TRUE(mentions(refusal(one_layer("TFOpLambda", softmax, R"({"beta":2})"), 2), "beta = 2"));
}

TEST(KerasGraph, LayersThatActAtInferenceAreNotTakenForAugmentation) {
  EXPECT_TRUE(mentions(refusal(one_layer("RandomCrop", R"(,"height":4,"width":4)", "{}"), 2), "class RandomCrop"));
  EXPECT_TRUE(mentions(refusal(one_layer("RandomFourierFeatures", "", "{}"), 2), "class RandomFourierFeatures"));
  EXPECT_EQ(recipe(one_layer("RandomFlip", "", "{}"), 2).layers.size(), 1u);
}

TEST(KerasGraph, NormalizationByOneMeanForAllChannelsIsReadWhereItIsGiven) {
  const std::string given = one_layer("Normalization", R"(,"axis":null,"mean":127.5,"variance":4.0)", "{}");
  EXPECT_EQ(recipe(given, 3).layers.size(), 2u);
  EXPECT_TRUE(recipe(given, 3).raw_pixels);
  // Keras itself writes the None as no axes at all.
  EXPECT_EQ(recipe(one_layer("Normalization", R"(,"axis":[],"mean":127.5,"variance":4.0)", "{}"), 3).layers.size(), 2u);
  for (const char* axis : {"null", "[]"}) {
    const std::string adapted = std::string(R"(,"mean":null,"variance":null,"axis":)") + axis;
    EXPECT_TRUE(mentions(refusal(one_layer("Normalization", adapted, "{}"), 3), "axis=None")) << axis;
  }
}

std::string error_or_nothing(const std::string& json) {
  try {
    recipe(json, 3);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

/// A class's keys as every Keras writes them, then those that only later ones write.
struct ClassConfig {
  std::string class_name;
  std::vector<std::pair<std::string, std::string>> always, later;

  std::string without(std::string_view key, const std::string& instead = {}) const {
    std::string config;
    for (const auto* keys : {&always, &later}) {
      for (const auto& [name, value] : *keys) {
        if (name != key) config += ",\"" + name + "\":" + value;
      }
    }
    return one_layer(class_name, config + instead, "{}");
  }
};

const std::vector<ClassConfig>& class_configs() {
  using Keys = std::vector<std::pair<std::string, std::string>>;
  const auto window = [](Keys more) {
    Keys keys = {{"kernel_size", "[3,3]"},
                 {"strides", "[2,2]"},
                 {"padding", "\"same\""},
                 {"use_bias", "false"},
                 {"activation", "\"linear\""}};
    keys.insert(keys.end(), more.begin(), more.end());
    return keys;
  };
  const std::pair<std::string, std::string> format = {"data_format", "\"channels_last\""};
  const Keys pool = {{"pool_size", "[2,2]"}, {"strides", "[1,1]"}, {"padding", "\"same\""}};
  static const std::vector<ClassConfig> configs = {
      {"Conv2D", window({{"filters", "3"}, {"dilation_rate", "[1,1]"}}), {{"groups", "1"}, format}},
      {"DepthwiseConv2D", window({{"depth_multiplier", "1"}}), {{"dilation_rate", "[1,1]"}, format}},
      {"SeparableConv2D", window({{"filters", "3"}, {"depth_multiplier", "1"}}), {{"dilation_rate", "[1,1]"}, format}},
      {"BatchNormalization", {{"axis", "-1"}, {"epsilon", "0.1"}, {"center", "true"}, {"scale", "true"}}, {}},
      {"MaxPooling2D", pool, {format}},
      {"AveragePooling2D", pool, {format}},
      {"GlobalAveragePooling2D", {}, {format, {"keepdims", "true"}}},
      {"ZeroPadding2D", {{"padding", "[[1,0],[0,1]]"}}, {format}},
      {"Flatten", {}, {format}},
      {"Reshape", {{"target_shape", "[192]"}}, {}},
      {"Activation", {{"activation", "\"sigmoid\""}}, {}},
      {"ReLU", {{"max_value", "null"}}, {{"negative_slope", "0.1"}, {"threshold", "0"}}},
      {"LeakyReLU", {{"negative_slope", "0.1"}}, {}},
      {"LeakyReLU", {{"alpha", "0.1"}}, {}},
      {"Softmax", {{"axis", "-1"}}, {}},
      {"Rescaling", {{"scale", "2"}, {"offset", "1"}}, {}},
      {"Normalization", {{"axis", "[-1]"}}, {{"mean", "[1,2,3]"}, {"variance", "[1,2,3]"}, {"invert", "false"}}},
      {"TFOpLambda", {{"function", "\"nn.relu\""}}, {}},
  };
  return configs;
}

TEST(KerasGraph, AKeyThatEveryKerasWritesIsNeverTakenAsItsDefault) {
  for (const ClassConfig& config : class_configs()) {
    EXPECT_NO_THROW(recipe(config.without(""), 3)) << config.class_name;
    for (const auto& [key, value] : config.always) {
      std::string damaged = key;
      damaged[0] ^= 1;
      for (const std::string& instead : {std::string(), ",\"" + damaged + "\":" + value}) {
        const std::string message = refusal(config.without(key, instead), 3);
        EXPECT_TRUE(mentions(message, "model.json: layer \"x\": ")) << message;
        EXPECT_TRUE(mentions(message, " is missing from its configuration; the file is damaged")) << message;
      }
    }
  }
}

TEST(KerasGraph, AKeyThatOlderKerasLacksMayBeMissingButNotDamaged) {
  for (const ClassConfig& config : class_configs()) {
    for (const auto& [key, value] : config.later) {
      const bool half = key == "mean" || key == "variance";  // one without the other
      EXPECT_EQ(mentions(error_or_nothing(config.without(key)), "is missing"), half) << config.class_name << ' ' << key;
      for (std::size_t i = 0; i < key.size(); ++i) {
        std::string damaged = key;
        damaged[i] ^= 2;
        const std::string message = refusal(config.without(key, ",\"" + damaged + "\":" + value), 3);
        EXPECT_TRUE(mentions(message, '"' + key + "\" is missing from its configuration, which has \"" + damaged))
            << message;
      }
    }
  }
}

TEST(KerasGraph, NoneCountsOnlyWhereKerasMeansIt) {
  const ClassConfig& conv = class_configs()[0];
  EXPECT_TRUE(mentions(refusal(conv.without("strides", R"(,"strides":null)"), 3), "\"strides\" is null"));
  EXPECT_TRUE(mentions(refusal(conv.without("groups", R"(,"groups":null)"), 3), "\"groups\" is null"));
  EXPECT_NO_THROW(recipe(conv.without("activation", R"(,"activation":null)"), 3));
  const Recipe pool =
      recipe(one_layer("MaxPooling2D", R"(,"pool_size":[2,3],"padding":"same","strides":null)", "{}"), 3);
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(pool.layers.back().attrs.at("stride")),
            (std::vector<std::int64_t>{2, 3}));
  const std::string one_mean = R"(,"axis":-1,"mean":[1,2,3],"variance":null)";
  EXPECT_TRUE(mentions(refusal(one_layer("Normalization", one_mean, "{}"), 3), "\"variance\" is missing"));
}

TEST(KerasGraph, InputsThatNoPictureFitsAreTheFilesFault) {
  for (const std::string size : {"0", "-4", "16385", "1099511627776"}) {
    std::string json = one_layer("ReLU", R"(,"max_value":null)", "{}");
    json.replace(json.find("[null,8,8,3]"), 12, "[null,8," + size + ",3]");
    const std::string message = refusal(json, 3);
    EXPECT_TRUE(mentions(message, "model.json: layer \"in\": takes images with a side of " + size)) << message;
  }
}

TEST(KerasGraph, AnUnknownDataFormatIsNotTakenForChannelsFirst) {
  const auto flatten = [](const std::string& format) {
    return refusal(one_layer("Flatten", R"(,"data_format":")" + format + '"', "{}"), 3);
  };
  EXPECT_TRUE(mentions(flatten("channels_first"), "only channels_last is read"));
  EXPECT_TRUE(mentions(flatten("bogus"), "data_format is \"bogus\"")) << flatten("bogus");
}

TEST(KerasGraph, NamesAreBoundedWhereTheFileIsNamed) {
  const auto named = [](const std::string& name) {
    std::string json = one_layer("ReLU", R"(,"max_value":null)", "{}");
    for (std::size_t at = 0; (at = json.find("\"x\"", at)) != std::string::npos; at += name.size() + 2)
      json.replace(at, 3, '"' + name + '"');
    return json;
  };
  EXPECT_NO_THROW(recipe(named(std::string(1000, 'n')), 3));
  EXPECT_TRUE(mentions(refusal(named(std::string(1001, 'n')), 3), "model.json: a layer's name has 1001 bytes"));
  EXPECT_TRUE(mentions(refusal(named("a\\nb"), 3), "model.json: a layer's name holds control characters"));
}

TEST(KerasGraph, NamesOfNestedModelsCountTogether) {
  std::string json = R"({"class_name":"ReLU","config":{"name":"x","max_value":null}})";
  for (int i = 0; i < 3; ++i) {
    json = R"({"class_name":"Sequential","config":{"name":")" + std::string(600, 'n') +
           R"(","build_input_shape":[null,8,8,3],"layers":[)" + json + "]}}";
  }
  EXPECT_TRUE(mentions(refusal(json, 3), "has a name of 1201 bytes with its models' names")) << refusal(json, 3);
}

TEST(KerasGraph, ALayerWithoutAConfigurationIsRefused) {
  std::string json = one_layer("ReLU", R"(,"max_value":null)", "{}");
  const std::string config = R"({"name":"x","max_value":null})";
  for (const char* other : {"null", "[]", "7"}) {
    std::string damaged = json;
    damaged.replace(damaged.find(config), config.size(), other);
    EXPECT_TRUE(mentions(refusal(damaged, 3), "layer \"x\": \"config\" is no object")) << other;
  }
}

/// The layer before the output, with its constants in the order of the graph's.
KerasGraph graph_of(const std::string& json, int major) {
  return keras_graph(parse_keras_model(json, "model.json"), major, "model.json");
}

TEST(KerasGraph, ArithmeticWithAConstantIsANormalisation) {
  const auto function = [](const std::string& name, const std::string& arguments) {
    return one_layer("TFOpLambda", R"(,"function":")" + name + '"', arguments);
  };
  const auto numbers = [](const KerasGraph& graph) {
    EXPECT_EQ(graph.recipe.layers.back().op, "batch_norm");
    return std::pair(graph.constants.at(0).values.at(2), graph.constants.at(1).values.at(2));  // mean, variance
  };
  EXPECT_EQ(numbers(graph_of(function("math.truediv", R"({"y":127.5})"), 2)), std::pair(0.0f, 16256.25f));
  EXPECT_EQ(numbers(graph_of(function("math.subtract", R"({"y":[1,2,3]})"), 2)), std::pair(3.0f, 1.0f));
  EXPECT_EQ(numbers(graph_of(function("__operators__.add", R"({"y":4})"), 2)), std::pair(-4.0f, 1.0f));
  EXPECT_EQ(numbers(graph_of(function("math.multiply", R"({"y":0.5})"), 2)), std::pair(0.0f, 4.0f));
  EXPECT_TRUE(mentions(refusal(function("math.truediv", R"({"y":0})"), 2), "scale inf"));
  EXPECT_TRUE(mentions(refusal(function("math.multiply", R"({"y":-1})"), 2), "has scale -1"));
  EXPECT_TRUE(mentions(refusal(function("math.truediv", "{}"), 2), "math.truediv"));
  EXPECT_TRUE(mentions(refusal(function("math.pow", R"({"y":2})"), 2), "y = 2"));

  const auto op = [](const std::string& kind, const std::string& args, const std::string& module) {
    return R"({"class_name":"Functional","config":{"name":"m","layers":[
      {"class_name":"InputLayer","config":{"name":"in","batch_shape":[null,8,8,3]},"name":"in","inbound_nodes":[]},
      {"class_name":")" +
           kind + R"(",)" + module + R"("config":{"name":"x"},"name":"x","inbound_nodes":[{"args":[)" + args +
           R"(],"kwargs":{}}]}],"input_layers":[["in",0,0]],"output_layers":[["x",0,0]]}})";
  };
  const std::string x = R"({"class_name":"__keras_tensor__","config":{"keras_history":["in",0,0]}})";
  const std::string array = R"({"class_name":"__numpy__","config":{"value":[1,2,4],"dtype":"float32"}})";
  for (const std::string module : {R"("module":"keras.src.ops.numpy",)", ""}) {  // .keras, .h5
    EXPECT_EQ(numbers(graph_of(op("TrueDivide", x + ",127.5", module), 3)), std::pair(0.0f, 16256.25f));
    EXPECT_EQ(numbers(graph_of(op("Multiply", x + ',' + array, module), 3)), std::pair(0.0f, 0.0625f));
    EXPECT_THROW(graph_of(op("Subtract", "1," + x, module), 3), Error);
    EXPECT_THROW(graph_of(op("Subtract", x, module), 3), Error);
    EXPECT_EQ(graph_of(op("Relu", x, module), 3).recipe.layers.back().op, "relu");
  }
}

TEST(KerasGraph, AChannelThatNeverChangedIsNormalisedAsKerasDoes) {
  const std::string given = one_layer("Normalization", R"(,"axis":[-1],"mean":[1,2,3],"variance":[4,0,9])", "{}");
  EXPECT_EQ(graph_of(given, 3).constants.at(1).values, (std::vector<float>{4, 1e-14f, 9}));
  const std::string adapted = one_layer("Normalization", R"(,"axis":[-1],"mean":null,"variance":null)", "{}");
  EXPECT_GT(std::get<double>(recipe(adapted, 3).layers.back().attrs.at("eps")), 0.0);
}

TEST(KerasGraph, AModelWithADictionaryOfOneInputAndOneOutputIsOneNetwork) {
  std::string json = one_layer("ReLU", R"(,"max_value":null,"negative_slope":0,"threshold":0)", "{}");
  const auto replace = [&](std::string_view old, std::string_view text) {
    json.replace(json.find(old), old.size(), text);
  };
  replace(R"([["in",0,0]],"output_layers":[["x",0,0]])", R"({"a":["in",0,0]},"output_layers":{"b":["x",0,0]})");
  EXPECT_EQ(recipe(json, 3).layers.size(), 2u);
  replace(R"({"b":["x",0,0]})", R"({"b":["x",0,0],"c":["in",0,0]})");
  EXPECT_TRUE(mentions(refusal(json, 3), "has 2 outputs (x, in)")) << refusal(json, 3);
}

TEST(KerasGraph, TheConfigurationSaysWhichKerasWroteIt) {
  const std::string json = one_layer("ReLU", R"(,"max_value":null)", "{}");
  EXPECT_EQ(parse_keras_model(json, "").major, 0);
  EXPECT_EQ(parse_keras_model("{\"keras_version\":\"2.21.0\"," + json.substr(1), "").major, 2);
  EXPECT_EQ(parse_keras_model("{\"keras_version\":\"3.15.1\"," + json.substr(1), "").major, 3);
  const auto slope = [&](int major) {
    const Recipe hard = recipe(one_layer("Activation", R"(,"activation":"hard_sigmoid")", "{}"), major);
    return std::get<double>(hard.layers.back().attrs.at("alpha"));
  };
  EXPECT_TRUE(mentions(refusal(one_layer("Activation", R"(,"activation":"hard_sigmoid")", "{}"), 0),
                       "nothing says which of them wrote the model"));
  EXPECT_TRUE(mentions(refusal("{\"backend\":\"tensorflow\",\"keras_versioo\":\"2.21.0\"," + json.substr(1), 3),
                       "but no \"keras_version\""));
  EXPECT_EQ(slope(2), 0.2);
  EXPECT_EQ(slope(3), 1.0 / 6.0);
}

SourceTensor tensor(const std::string& name, TensorShape shape) {
  SourceTensor result;
  result.name = result.key = name;
  result.strides = row_major_strides(shape, name);
  result.shape = std::move(shape);
  return result;
}

TEST(KerasWeights, ModelsWhoseNamesBeginAlikeKeepTheirLayersApart) {
  KerasNode model{"m", "", "functional", {}, {}, true};
  for (const std::string name : {"branch", "branch_1"}) {
    KerasNode branch{name, name, "functional", {}, {}, false};
    branch.children.push_back({"conv", name + "/conv", "conv2d", {"kernel"}, {}, false});
    model.children.push_back(std::move(branch));
  }
  std::vector<SourceTensor> tensors = {tensor("branch_1/conv/kernel", {1, 1, 3, 4}),
                                       tensor("branch/conv/kernel", {1, 1, 3, 5})};
  std::vector<std::string> notes;
  name_keras_tensors(model, tensors, notes, "weights.h5");
  EXPECT_EQ(tensors[0].name, "branch_1/conv/kernel");
  EXPECT_EQ(tensors[1].name, "branch/conv/kernel");
  EXPECT_EQ(tensors[1].shape, (TensorShape{5, 3, 1, 1}));
}

/// Two convolutions of one shape in a nested model, the first of them frozen; names of another session.
TEST(KerasWeights, FrozenLayersOfANestedModelComeLast) {
  KerasNode base{"base", "base", "functional", {}, {}, false};
  for (const char* name : {"conv_a", "conv_b"}) {
    base.children.push_back({name, "base/" + std::string(name), "conv2d", {"kernel"}, {}, false});
  }
  base.children.push_back({"norm", "base/norm", "batch_normalization", {"gamma", "moving_mean"}, {}, false});
  const auto order = [&](bool first_frozen, bool norm_frozen, bool all_frozen) {
    KerasNode model{"m", "", "functional", {}, {base}, true};
    model.children[0].children[0].trainable = !first_frozen;
    model.children[0].children[2].trainable = !norm_frozen;
    model.children[0].trainable = !all_frozen;
    std::vector<SourceTensor> tensors;
    std::vector<std::string> roles = {"kernel", "kernel", "gamma", "moving_mean"};
    if (first_frozen && !all_frozen && !norm_frozen) roles = {"kernel", "gamma", "kernel", "moving_mean"};
    for (std::size_t i = 0; i < roles.size(); ++i) {
      const TensorShape shape = roles[i] == "kernel" ? TensorShape{1, 1, 3, 3} : TensorShape{3};
      tensors.push_back(tensor("x" + std::to_string(i) + '/' + roles[i], shape));
    }
    std::vector<std::string> notes;
    name_keras_tensors(model, tensors, notes, "weights.h5");
    std::string names;
    for (const SourceTensor& named : tensors) names += (names.empty() ? "" : " ") + named.name.substr(5);
    return names;
  };
  EXPECT_EQ(order(false, false, false), "conv_a/kernel conv_b/kernel norm/gamma norm/moving_mean");
  EXPECT_EQ(order(true, false, false), "conv_b/kernel norm/gamma conv_a/kernel norm/moving_mean");
  EXPECT_EQ(order(false, true, false), "conv_a/kernel conv_b/kernel norm/gamma norm/moving_mean");
  EXPECT_EQ(order(true, true, true), "conv_a/kernel conv_b/kernel norm/gamma norm/moving_mean");
}

}  // namespace
}  // namespace resnet::convert
