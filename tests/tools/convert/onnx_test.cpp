// What becomes of ONNX's operators: layers, or a refusal that names the node.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "convert/importers/importer.hpp"
#include "convert/materialise.hpp"
#include "tools/convert/byte_files.hpp"
#include "tools/convert/onnx_bytes.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;
using test::onnx::attribute;
using test::onnx::ModelBytes;
using test::onnx::tensor;
using test::onnx::tensor_attribute;
using test::onnx::value;
using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

/// An imported model, with the file that its storages point to.
struct Net {
  explicit Net(const std::string& bytes)
      : file(SourceFile::from_bytes(to_bytes(bytes), "model.onnx")), imported(find_importer(file).read(file)) {}
  explicit Net(const ModelBytes& model) : Net(model.bytes()) {}

  const std::vector<LayerSpec>& layers() const { return imported.graph->layers; }
  const LayerSpec& layer(std::string_view name) const {
    const auto found = std::find_if(layers().begin(), layers().end(), [&](const auto& l) { return l.name == name; });
    if (found == layers().end()) throw std::runtime_error("no layer " + std::string(name) + " in " + ops());
    return *found;
  }
  /// "input conv2d flatten"
  std::string ops() const {
    std::string text;
    for (const LayerSpec& layer : layers()) text += (text.empty() ? "" : " ") + layer.op;
    return text;
  }
  Floats values(const std::string& key) const {
    const SourceTensor* found = TensorIndex(imported.tensors).find(key);
    if (found == nullptr) throw std::runtime_error("no tensor " + key);
    const Materialised tensor = materialise(*found, imported.storages->read(found->storage), WeightOrder::keep);
    Floats values(tensor.bytes.size() / sizeof(float));
    std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    return values;
  }
  /// Values of a layer's weight.
  Floats weight(std::string_view name, const char* role) const { return values(layer(name).weights.at(role)); }

  SourceFile file;
  Imported imported;
};

std::string refusal(const ModelBytes& model) {
  return error_of([&] { Net net(model); }).what();
}
void expect_refusal(const ModelBytes& model, const std::string& part) {
  const std::string message = refusal(model);
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

/// x -> 3x3 convolution to 4 channels -> "c"
ModelBytes conv() {
  ModelBytes model;
  model.weight(tensor("w", {4, 3, 3, 3})).add("Conv", {"x", "w"}, {"c"});
  return model;
}
/// The same with a node behind it that makes the output.
ModelBytes behind_conv(std::string_view op, const onnx::Names& more = {},
                       const std::vector<std::string>& attributes = {}) {
  ModelBytes model = conv();
  onnx::Names inputs = {"c"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  model.add(op, inputs, {"y"}, attributes);
  return model;
}
ModelBytes head() {
  ModelBytes model = conv();
  model.add("GlobalAveragePool", {"c"}, {"g"});
  return model;
}

TEST(Onnx, IsSniffedByItsFieldsAfterEveryFormatThatHasAMagic) {
  const auto sniffed = [](const std::string& bytes) {
    return find_importer(SourceFile::from_bytes(to_bytes(bytes), "f")).name;
  };
  const ModelBytes model = behind_conv("Relu");
  EXPECT_EQ(sniffed(model.bytes()), "ONNX");
  // In another order, as other writers have it.
  EXPECT_EQ(sniffed(onnx::field(2, "producer") + onnx::field(3, "1.0") + model.bytes()), "ONNX");
  EXPECT_EQ(sniffed(model.bytes().substr(0, 60)), "ONNX");
  const std::string safetensors = "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}";
  EXPECT_EQ(sniffed(std::string("\x37\0\0\0\0\0\0\0", 8) + safetensors), "safetensors");
  for (const std::string& other :
       {std::string("hello world, this is text"), std::string(100, '\0'), std::string("\x08\x07"),
        std::string("\x08\x07\xFF\xFF\xFF"), std::string("\x12\x05hello")}) {
    EXPECT_THROW(sniffed(other), Error) << other;
  }
}

TEST(Onnx, KeepsWeightsAsViewsOfTheFile) {
  ModelBytes model = head();
  model.weight(tensor("m", {4, 5}, Floats{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  model.add("Flatten", {"g"}, {"f"}).add("MatMul", {"f", "m"}, {"y"});
  const Net net(model);
  EXPECT_EQ(net.ops(), "input conv2d global_avg_pool flatten dense");
  const SourceTensor* matrix = TensorIndex(net.imported.tensors).find("m");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->shape, (Ints{5, 4}));
  EXPECT_EQ(matrix->strides, (Ints{1, 5}));
  EXPECT_EQ(net.values("m"), (Floats{1, 6, 1, 6, 2, 7, 2, 7, 3, 8, 3, 8, 4, 9, 4, 9, 5, 10, 5, 10}));
  EXPECT_EQ(net.imported.graph->output, "y");
  EXPECT_EQ(net.imported.graph->preset, "torchvision");
}

TEST(Onnx, NamesLayersAfterTheModulesOfPyTorch) {
  ModelBytes model;
  model.weight(tensor("w", {3, 3, 1, 1}));
  const auto named = [&](const char* op, const onnx::Names& in, const char* out, const char* name) {
    std::string node = onnx::node(op, in, {out});
    node += onnx::field(3, name);  // protobuf: the last one counts
    model.nodes.push_back(node);
  };
  named("Conv", {"x", "w"}, "a", "/layer1/layer1.0/conv1/Conv");
  named("Relu", {"a"}, "b", "/layer1/layer1.0/relu/Relu");
  named("Relu", {"b"}, "c", "/layer1/layer1.0/relu/Relu_1");
  named("Add", {"c", "a"}, "d", "/layer1/layer1.0/Add");
  named("Add", {"d", "a"}, "e", "/layer1/layer1.0/Add");
  named("Relu", {"e"}, "f", "stem relu");
  named("Relu", {"f"}, "y", "");
  const Net net(model);
  std::string names;
  for (const LayerSpec& layer : net.layers()) names += layer.name + ' ';
  EXPECT_EQ(names, "input layer1.0.conv1 layer1.0.relu layer1.0.relu_1 layer1.0.add layer1.0.add_1 stem_relu y ");
}

TEST(Onnx, PaddingPoliciesStayPolicies) {
  const auto pads = [](const std::vector<std::string>& attributes) {
    ModelBytes model;
    model.weight(tensor("w", {4, 3, 3, 3})).add("Conv", {"x", "w"}, {"y"}, attributes);
    const AttrMap attrs = Net(model).layer("y").attrs;
    const auto policy = attrs.find("padding");
    return policy == attrs.end() ? "valid" : std::get<std::string>(policy->second);
  };
  EXPECT_EQ(pads({}), "valid");
  EXPECT_EQ(pads({attribute("pads", Ints{0, 0, 0, 0})}), "valid");
  EXPECT_EQ(pads({attribute("pads", Ints{1, 0, 2, 1})}), "explicit");
  EXPECT_EQ(pads({attribute("auto_pad", "SAME_UPPER")}), "same");
  EXPECT_EQ(pads({attribute("auto_pad", "SAME_LOWER")}), "same_lower");
  EXPECT_EQ(pads({attribute("auto_pad", "VALID")}), "valid");
  EXPECT_THROW(pads({attribute("pads", Ints{-1, 0, 0, 0})}), Error);
  EXPECT_THROW(pads({attribute("auto_pad", "SOMEHOW")}), Error);
  EXPECT_THROW(pads({attribute("strides", Ints{0, 1})}), Error);
  EXPECT_THROW(pads({attribute("strides", Ints{1})}), Error);
  EXPECT_THROW(pads({attribute("kernel_shape", Ints{3, 1})}), Error);
}

TEST(Onnx, AClipIsAnActivationOrRefused) {
  const auto clip = [](float low, float high) {
    ModelBytes model = behind_conv("Clip", {"low", "high"});
    model.weight(tensor("low", {}, Floats{low})).weight(tensor("high", {}, Floats{high}));
    return Net(model).layers().back().op;
  };
  EXPECT_EQ(clip(0, 6), "relu6");
  EXPECT_EQ(clip(0, std::numeric_limits<float>::infinity()), "relu");
  EXPECT_THROW(clip(-1, 1), Error);
  EXPECT_EQ(Net(behind_conv("Clip", {}, {attribute("min", 0.0f), attribute("max", 6.0f)})).layers().back().op, "relu6");
}

TEST(Onnx, WhatTheStandardDoesNotDefineIsRefusedNotDropped) {
  for (const std::string name : {"rtrides", "Strides", "stride", ""}) {  // one bit of "strides", and others
    ModelBytes model;
    model.weight(tensor("w", {4, 3, 3, 3})).add("Conv", {"x", "w"}, {"y"}, {attribute(name, Ints{2, 2})});
    expect_refusal(model, "has the attribute \"" + name + "\", which ONNX does not define for it");
  }
  ModelBytes model;
  expect_refusal(model.add("Relu", {"x"}, {"y"}, {attribute("alpha", 0.1f)}), "has the attribute \"alpha\"");
  model = conv();
  expect_refusal(model.add("Relu", {"c", "x"}, {"y"}), "has 2 inputs, 1 at most");
  model = conv();
  EXPECT_EQ(Net(model.add("Clip", {"c", "", ""}, {"y"}, {attribute("min", 0.0f)})).ops(), "input conv2d relu");
  const auto kernel = attribute("kernel_shape", Ints{2, 2});
  model = {};
  expect_refusal(model.add("MaxPool", {"x"}, {"y"}, {kernel, attribute("ceil_mode", std::int64_t{2})}),
                 "ceil_mode is 2, 0 or 1 is expected");
  for (const char* policy : {"SAME_UPPER", "VALID"}) {
    model = {};
    expect_refusal(model.add("MaxPool", {"x"}, {"y"},
                             {kernel, attribute("auto_pad", policy), attribute("pads", Ints{0, 0, 1, 1})}),
                   "has pads [0, 0, 1, 1] and auto_pad");
    model = {};
    EXPECT_NO_THROW(Net(model.add("MaxPool", {"x"}, {"y"},
                                  {kernel, attribute("auto_pad", policy), attribute("pads", Ints{0, 0, 0, 0})})));
  }
}

/// Efficient channel attention: a Conv1d along the channels of each image's mean.
ModelBytes attention(const std::string& weight, const std::vector<std::string>& attributes) {
  ModelBytes model;
  model.weight(weight).weight(tensor("row", {3}, Ints{0, 1, -1})).weight(tensor("image", {4}, Ints{0, -1, 1, 1}));
  model.add("GlobalAveragePool", {"x"}, {"mean"}).add("Reshape", {"mean", "row"}, {"flat"});
  model.add("Conv", {"flat", "w"}, {"conv"}, attributes).add("Reshape", {"conv", "image"}, {"gate"});
  return std::move(model.add("Mul", {"x", "gate"}, {"y"}));
}

TEST(Onnx, AConvolutionAlongTheChannels) {
  const Net net(attention(tensor("w", {1, 1, 3}, Floats{1, 2, 3}), {attribute("pads", Ints{1, 1})}));
  EXPECT_EQ(net.ops(), "input global_avg_pool channel_conv1d mul");
  EXPECT_EQ(net.weight("conv", "weight"), (Floats{1, 2, 3}));

  const std::string even = tensor("w", {1, 1, 2}), odd = tensor("w", {1, 1, 3}), two = tensor("w", {2, 1, 3});
  const auto pads = attribute("pads", Ints{1, 1});
  for (const ModelBytes& model :
       {attention(even, {pads}), attention(two, {pads}), attention(odd, {}), attention(tensor("w", {3}), {pads}),
        attention(odd, {pads, attribute("strides", Ints{2})}), attention(odd, {pads, attribute("dilations", Ints{2})}),
        attention(odd, {attribute("auto_pad", "SAME_UPPER")})}) {
    expect_refusal(model, "one filter of odd size");
  }
}

TEST(Onnx, AProductWithItsOwnSigmoidIsSilu) {
  ModelBytes model = conv();
  model.add("Sigmoid", {"c"}, {"s"}).add("Mul", {"c", "s"}, {"y"});
  EXPECT_EQ(Net(model).ops(), "input conv2d silu");
  model = conv();  // the gate has another reader
  model.add("Sigmoid", {"c"}, {"s"}).add("Mul", {"c", "s"}, {"p"}).add("Add", {"p", "s"}, {"y"});
  EXPECT_EQ(Net(model).ops(), "input conv2d sigmoid mul add");
}

TEST(Onnx, AConstantPerChannelBecomesABiasOrAMap) {
  ModelBytes model = behind_conv("Add", {"b"});
  model.weight(tensor("b", {4, 1, 1}, Floats{1, 2, 3, 4}));
  const Net bias(model);
  EXPECT_EQ(bias.ops(), "input conv2d");
  EXPECT_EQ(bias.weight("c", "bias"), (Floats{1, 2, 3, 4}));

  model = behind_conv("Mul", {"s"});
  model.weight(tensor("s", {4, 1, 1}, Floats{1, -2, 0, 4}));
  const Net scale(model);
  EXPECT_EQ(scale.ops(), "input conv2d batch_norm");
  EXPECT_EQ(scale.weight("y", "gamma"), (Floats{1, -2, 0, 4}));
  EXPECT_EQ(scale.weight("y", "var"), (Floats{1, 1, 1, 1}));

  model = conv();  // a constant less x, and x less a constant
  model.weight(tensor("s", {4, 1, 1}, Floats{1, 2, 3, 4})).add("Sub", {"s", "c"}, {"y"});
  EXPECT_EQ(Net(model).weight("y", "gamma"), (Floats{-1, -1, -1, -1}));
  EXPECT_EQ(Net(model).weight("y", "beta"), (Floats{1, 2, 3, 4}));
  model = behind_conv("Sub", {"s"});
  model.weight(tensor("s", {4, 1, 1}, Floats{1, 2, 3, 4}));
  EXPECT_EQ(Net(model).weight("y", "gamma"), (Floats{1, 1, 1, 1}));
  EXPECT_EQ(Net(model).weight("y", "beta"), (Floats{-1, -2, -3, -4}));
  model = conv();  // nothing divides by a value
  model.weight(tensor("s", {}, Floats{1})).add("Div", {"s", "c"}, {"y"});
  expect_refusal(model, "divides by a value");
  model = behind_conv("Div", {"s"});
  model.weight(tensor("s", {}, Floats{0}));
  expect_refusal(model, "a constant that is zero, infinite or NaN");

  // Read by somebody else: the convolution keeps its value.
  model = conv();
  model.weight(tensor("b", {4, 1, 1}, Floats{1, 2, 3, 4})).add("Add", {"c", "b"}, {"d"}).add("Add", {"c", "d"}, {"y"});
  EXPECT_EQ(Net(model).ops(), "input conv2d batch_norm add");
  model = conv();  // under another name, too
  model.weight(tensor("b", {4, 1, 1}, Floats{1, 2, 3, 4})).add("Identity", {"c"}, {"i"}).add("Identity", {"c"}, {"j"});
  model.add("Add", {"i", "b"}, {"d"}).add("Add", {"j", "d"}, {"y"});
  EXPECT_EQ(Net(model).ops(), "input conv2d batch_norm add");

  for (const Ints& shape : {Ints{8}, Ints{1, 1, 6, 1}, Ints{3, 1, 1}, Ints{1, 1, 1, 1, 1}}) {
    model = behind_conv("Add", {"b"});
    model.weight(tensor("b", shape));
    expect_refusal(model, "is neither one number nor one per channel");
  }
}

TEST(Onnx, ANormalisationAtTheInputIsOneStatisticsLayer) {
  ModelBytes model;
  model.inputs = {value("x", {-1, 8, 8, 3}, 2)};  // bytes, N x H x W x C
  model.weight(tensor("scale", {}, Floats{255})).weight(tensor("mean", {3}, Floats{0.5f, 0.25f, 0.125f}));
  model.weight(tensor("std", {3}, Floats{0.5f, 0.25f, 2})).weight(tensor("w", {4, 3, 3, 3}));
  model.add("Cast", {"x"}, {"f"}, {attribute("to", std::int64_t{1})}).add("Div", {"f", "scale"}, {"a"});
  model.add("Sub", {"a", "mean"}, {"b"}).add("Div", {"b", "std"}, {"n"});
  model.add("Transpose", {"n"}, {"t"}, {attribute("perm", Ints{0, 3, 1, 2})}).add("Conv", {"t", "w"}, {"y"});
  const Net net(model);
  EXPECT_EQ(net.ops(), "input batch_norm conv2d");
  EXPECT_EQ(std::get<std::int64_t>(net.layer("input").attrs.at("channels")), 3);
  EXPECT_EQ(net.weight("a", "mean"), (Floats{127.5f, 63.75f, 31.875f}));
  EXPECT_EQ(net.weight("a", "var"), (Floats{127.5f * 127.5f, 63.75f * 63.75f, 510.0f * 510.0f}));
  EXPECT_FALSE(net.layer("a").weights.contains("gamma"));
  EXPECT_EQ(net.imported.graph->preset, "raw255");  // torchvision's would normalise twice
}

TEST(Onnx, GreyPicturesAreTurnedByAReshape) {
  ModelBytes model;
  model.inputs = {value("x", {-1, 8, 6, 1})};
  model.weight(tensor("nchw", {4}, Ints{-1, 1, 8, 6}));
  model.weight(tensor("w", {1, 1, 3, 3})).weight(tensor("back", {4}, Ints{-1, 6, 4, 1}));
  model.add("Reshape", {"x", "nchw"}, {"t"}).add("Conv", {"t", "w"}, {"c"}).add("Reshape", {"c", "back"}, {"y"});
  const Net net(model);
  EXPECT_EQ(net.ops(), "input conv2d");
  const auto attr = [&](const char* name) { return std::get<std::int64_t>(net.layer("input").attrs.at(name)); };
  EXPECT_EQ(attr("channels"), 1);
  EXPECT_EQ(attr("height"), 8);
  EXPECT_EQ(attr("width"), 6);
  model.nodes.pop_back();
  expect_refusal(model.add("Reshape", {"c", "nchw"}, {"y"}), "each image has 24 values");
  model.nodes.pop_back();
  model.weight(tensor("turned", {4}, Ints{-1, 1, 4, 6}));
  expect_refusal(model.add("Reshape", {"c", "turned"}, {"y"}), "which is no flattening");
}

TEST(Onnx, GemmTakesItsFactorsAndBothOrders) {
  ModelBytes model = head();
  model.weight(tensor("m", {4, 2}, Floats{1, 2, 3, 4, 5, 6, 7, 8})).weight(tensor("b", {1, 2}, Floats{10, 20}));
  model.add("Flatten", {"g"}, {"f"});
  ModelBytes plain = model;
  plain.add("Gemm", {"f", "m", "b"}, {"y"});
  EXPECT_EQ(Net(plain).weight("y", "weight"), (Floats{1, 3, 5, 7, 2, 4, 6, 8}));
  EXPECT_EQ(Net(plain).weight("y", "bias"), (Floats{10, 20}));

  ModelBytes scaled = model;
  scaled.add("Gemm", {"f", "m", "b"}, {"y"}, {attribute("alpha", 0.5f), attribute("beta", 2.0f)});
  const Net net(scaled);
  EXPECT_EQ(net.ops(), "input conv2d global_avg_pool flatten dense batch_norm");
  EXPECT_FALSE(net.layer("y").weights.contains("bias"));
  EXPECT_EQ(net.weight("y.scale", "gamma"), (Floats{0.5f, 0.5f}));
  EXPECT_EQ(net.weight("y.scale", "beta"), (Floats{20, 40}));

  ModelBytes turned = model;
  turned.add("Gemm", {"f", "m"}, {"y"}, {attribute("transA", std::int64_t{1})});
  expect_refusal(turned, "transA");
}

TEST(Onnx, FlatteningKeepsTheOrderOfTheAxes) {
  const auto order = [](const ModelBytes& model) {
    const AttrMap attrs = Net(model).layers().back().attrs;
    const auto found = attrs.find("order");
    return found == attrs.end() ? "nhwc" : std::get<std::string>(found->second);
  };
  EXPECT_EQ(order(behind_conv("Flatten")), "nchw");
  EXPECT_EQ(order(behind_conv("Flatten", {}, {attribute("axis", std::int64_t{-3})})), "nchw");
  ModelBytes model = conv();
  model.add("Transpose", {"c"}, {"t"}, {attribute("perm", Ints{0, 2, 3, 1})}).add("Flatten", {"t"}, {"y"});
  EXPECT_EQ(order(model), "nhwc");
  model = conv();
  model.add("Transpose", {"c"}, {"t"}, {attribute("perm", Ints{0, 3, 2, 1})}).add("Flatten", {"t"}, {"y"});
  expect_refusal(model, "in an order that no layer has");
  expect_refusal(behind_conv("Flatten", {}, {attribute("axis", std::int64_t{2})}), "axis 2");
  const auto reshaped = [](const Ints& shape) {
    ModelBytes to = behind_conv("Reshape", {"shape"});
    to.weight(tensor("shape", {static_cast<std::int64_t>(shape.size())}, shape));
    return to;
  };
  EXPECT_EQ(order(reshaped({0, -1})), "nchw");
  EXPECT_EQ(order(reshaped({-1, 144})), "nchw");
  expect_refusal(reshaped({1, -1}), "the number of images is another one");  // it is open at the input
  expect_refusal(reshaped({-1, 72}), "each image has 144 values");
  expect_refusal(reshaped({-1, -1}), "two sizes are open");
  expect_refusal(reshaped({0, 2, 72}), "which is no flattening");
  expect_refusal(reshaped({}), "1 to 8 sizes");
}

TEST(Onnx, MeansOverHeightAndWidthAreOneGlobalPool) {
  const auto mean = [](const Ints& axes, std::int64_t keep = 0) {
    return std::vector<std::string>{attribute("axes", axes), attribute("keepdims", keep)};
  };
  EXPECT_EQ(Net(behind_conv("ReduceMean", {}, mean({2, 3}))).ops(), "input conv2d global_avg_pool");
  EXPECT_EQ(Net(behind_conv("ReduceMean", {}, mean({-1, -2}, 1))).ops(), "input conv2d global_avg_pool");
  ModelBytes model = conv();
  model.add("ReduceMean", {"c"}, {"a"}, mean({3})).add("ReduceMean", {"a"}, {"y"}, mean({2}));
  EXPECT_EQ(Net(model).ops(), "input conv2d global_avg_pool");
  model = conv();
  model.add("ReduceMean", {"c"}, {"a"}, mean({3})).add("Relu", {"a"}, {"y"});
  expect_refusal(model, "a mean over the height or the width alone");
  expect_refusal(behind_conv("ReduceMean", {}, mean({3})), "a mean over the height or the width alone");
  expect_refusal(behind_conv("ReduceMean", {}, mean({1})), "over the images or the channels");
  expect_refusal(behind_conv("ReduceMean"), "over all axes");
  expect_refusal(behind_conv("ReduceMean", {}, mean({2, 2})), "axes are");
}

TEST(Onnx, SoftmaxCountsItsAxisByTheVersion) {
  const auto softmax = [](std::int64_t opset, const ModelBytes& from) {
    ModelBytes model = from;
    model.opset = opset;
    return model;
  };
  ModelBytes flat = head();
  flat.add("Flatten", {"g"}, {"f"}).add("Softmax", {"f"}, {"y"});
  EXPECT_EQ(Net(softmax(9, flat)).layers().back().op, "softmax");
  EXPECT_EQ(Net(softmax(13, flat)).layers().back().op, "softmax");
  const auto image = [](std::int64_t axis) { return behind_conv("Softmax", {}, {attribute("axis", axis)}); };
  EXPECT_EQ(Net(softmax(13, image(1))).layers().back().op, "softmax");
  expect_refusal(softmax(11, image(1)), "over channels and positions together");
  expect_refusal(softmax(13, image(2)), "not over the channels");
}

TEST(Onnx, OneWeightInTwoRolesIsTwoTensors) {
  // PyTorch's exporter keeps equal statistics once and names them by Identity.
  ModelBytes model = conv();
  model.weight(tensor("zeros", {4}, Floats{0})).weight(tensor("ones", {4}, Floats{1}));
  model.add("Identity", {"zeros"}, {"bn.mean"});
  model.add("BatchNormalization", {"c", "ones", "zeros", "bn.mean", "ones"}, {"d"});
  model.add("BatchNormalization", {"d", "ones", "zeros", "bn.mean", "ones"}, {"y"});
  const Net net(model);
  EXPECT_EQ(net.layer("d").weights.at("gamma"), "ones");
  EXPECT_EQ(net.layer("d").weights.at("var"), "d.var");
  EXPECT_EQ(net.layer("d").weights.at("mean"), "bn.mean");
  EXPECT_EQ(net.layer("y").weights.at("gamma"), "ones");  // the same role: the same tensor
  EXPECT_NO_THROW(wanted_tensors(*net.imported.graph));
}

TEST(Onnx, WhatLeadsNowhereIsLeftOutAndSaid) {
  ModelBytes model = behind_conv("Relu");
  model.weight(tensor("extra", {2})).add("Einsum", {"c"}, {"nowhere"});
  const Net net(model);
  EXPECT_EQ(net.ops(), "input conv2d relu");
  ASSERT_EQ(net.imported.notes.size(), 2u);
  EXPECT_NE(net.imported.notes[0].find("1 tensors"), std::string::npos);
}

TEST(Onnx, AnOpenSizeIsTakenAs224) {
  ModelBytes model = behind_conv("Relu");
  model.inputs = {value("x", {-1, 3, -1, -1})};
  EXPECT_EQ(std::get<std::int64_t>(Net(model).layer("input").attrs.at("height")), 224);
  model.inputs = {value("x", {-1, -1, 8, 8})};
  expect_refusal(model, "does not say how many channels");
}

TEST(OnnxRefusals, NameOperatorsWithTheirNodesAndTheWayOut) {
  ModelBytes model = conv();
  model.add("Einsum", {"c"}, {"e"}).add("LogSoftmax", {"e"}, {"y"});
  expect_refusal(model, "node \"e\" (Einsum), node \"y\" (LogSoftmax)");
  expect_refusal(behind_conv("LogSoftmax"), "without its last LogSoftmax");
  expect_refusal(behind_conv("DequantizeLinear"), "export the float model");
  expect_refusal(behind_conv("If"), "control flow");
  expect_refusal(behind_conv("Concat", {"c"}), "node \"y\" (Concat)");
  model = conv();
  model.nodes.push_back(onnx::node("Relu", {"c"}, {"y"}) + onnx::field(7, "com.example"));
  expect_refusal(model, "com.example::Relu");
}

TEST(OnnxRefusals, OfTrainingForms) {
  ModelBytes model = conv();
  for (const char* name : {"g", "b", "m", "v"}) model.weight(tensor(name, {4}, Floats{1}));
  ModelBytes training = model;
  training.add("BatchNormalization", {"c", "g", "b", "m", "v"}, {"y", "m2", "v2"},
               {attribute("training_mode", std::int64_t{1})});
  expect_refusal(training, "model.eval()");
  training = model;
  training.opset = 9;
  training.add("BatchNormalization", {"c", "g", "b", "m", "v"}, {"y", "m2", "v2", "m3", "v3"});
  expect_refusal(training, "model.eval()");
  training = model;
  training.opset = 7;
  training.add("BatchNormalization", {"c", "g", "b", "m", "v"}, {"y"}, {attribute("spatial", std::int64_t{0})});
  expect_refusal(training, "spatial");
}

TEST(OnnxRefusals, OfInputsAndOutputs) {
  ModelBytes model = behind_conv("Relu");
  model.inputs.push_back(value("x2", {1}));
  expect_refusal(model, "has 2 inputs (x, x2)");
  model = behind_conv("Relu");
  model.inputs.push_back(value("w", {4, 3, 3, 3}));  // a weight among the inputs: IR version 3
  EXPECT_NO_THROW(Net{model});
  model.outputs.push_back(value("c", {1, 4, 6, 6}));
  expect_refusal(model, "has 2 outputs (y, c)");
  model = behind_conv("Relu");
  model.outputs.clear();
  expect_refusal(model, "has 0 outputs");
  model = behind_conv("Relu");
  model.inputs = {value("x", {-1, 3, 8, 8}, 7)};
  expect_refusal(model, "holds INT64");
  model.inputs = {value("x", {-1, 3, 8})};
  expect_refusal(model, "has 3 dimensions");
  model = behind_conv("MaxPool", {}, {attribute("kernel_shape", Ints{2, 2})});
  model.nodes.back() += onnx::field(2, "indices");
  model.add("Cast", {"indices"}, {"z"});
  model.outputs = {value("z", {1})};
  expect_refusal(model, "its output 1 is used");
}

TEST(OnnxRefusals, OfVersionsOutsideSevenToTwentyThree) {
  for (const std::int64_t opset : {6, 24, 0, -1}) {
    ModelBytes model = behind_conv("Relu");
    model.opset = opset;
    EXPECT_NE(refusal(model).find("operators"), std::string::npos) << opset;
  }
}

}  // namespace
}  // namespace resnet::convert
