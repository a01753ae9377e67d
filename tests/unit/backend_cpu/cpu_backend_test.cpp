// What oneDNN and the Winograd entry compute, layer by layer, against the oracle: whole small networks of one layer
// through Session, on the cpu device and on the reference device.
#include <gtest/gtest.h>

#include <cmath>

#include "base/device_info.hpp"
#include "base/json.hpp"
#include "model/model_file.hpp"
#include "resnet_engine/session.hpp"
#include "support/random_model.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"

namespace resnet {
namespace {

using test::NetworkSpec;

struct Conv {
  std::int64_t N, H, W, C, K, R, stride, groups, dilation;
  const char* padding;
  bool batch_norm;
  const char* activation;
  bool residual;  ///< from a 1x1 convolution of the input
};

void PrintTo(const Conv& c, std::ostream* out) {
  *out << c.N << 'x' << c.H << 'x' << c.W << 'x' << c.C << " -> " << c.K << ", " << c.R << 'x' << c.R << " stride "
       << c.stride << " groups " << c.groups << " dilation " << c.dilation << ' ' << c.padding
       << (c.batch_norm ? " bn" : " bias") << ' ' << c.activation << (c.residual ? " residual" : "");
}

NetworkSpec network(const Conv& c) {
  NetworkSpec net;
  net.layers.push_back({"input", "input", {}, {{"channels", c.C}, {"height", c.H}, {"width", c.W}}, {}});
  AttrMap attrs{{"stride", std::vector<std::int64_t>{c.stride, c.stride}},
                {"dilation", std::vector<std::int64_t>{c.dilation, c.dilation}},
                {"groups", c.groups},
                {"padding", std::string(c.padding)}};
  if (std::string_view(c.padding) == "explicit") {
    const std::int64_t pad = c.R / 2 * c.dilation;
    attrs["pads"] = std::vector<std::int64_t>{pad, pad, pad, pad};
  }
  LayerSpec conv{"conv", "conv2d", {"input"}, attrs, {{"weight", "conv.w"}}};
  net.tensors["conv.w"] = {DType::f32, {c.K, c.R, c.R, c.C / c.groups}};
  if (!c.batch_norm) {
    conv.weights["bias"] = "conv.b";
    net.tensors["conv.b"] = {DType::f32, {c.K}};
  }
  net.layers.push_back(conv);
  std::string last = "conv";
  if (c.batch_norm) {
    net.layers.push_back(
        {"bn", "batch_norm", {last}, {{"eps", 1e-5}}, {{"gamma", "g"}, {"beta", "b"}, {"mean", "m"}, {"var", "v"}}});
    for (const char* name : {"g", "b", "m", "v"}) net.tensors[name] = {DType::f32, {c.K}};
    last = "bn";
  }
  if (c.residual) {
    net.layers.push_back({"shortcut",
                          "conv2d",
                          {"input"},
                          {{"stride", std::vector<std::int64_t>{c.stride, c.stride}}},
                          {{"weight", "s.w"}}});
    net.tensors["s.w"] = {DType::f32, {c.K, 1, 1, c.C}};
    net.layers.push_back({"sum", "add", {last, "shortcut"}, {}, {}});
    last = "sum";
  }
  if (*c.activation != '\0') {
    net.layers.push_back({"act", c.activation, {last}, {}, {}});
    last = "act";
  }
  net.output = last;
  return net;
}

/// Relative L2 distance of the cpu device's output in `precision` from the reference device's.
double error_of(const NetworkSpec& spec, const Dims& input, const std::vector<float>& x, Precision precision) {
  const test::ScratchFolder directory;
  test::write_bytes(directory / "net.rne", test::random_model(spec, 11));
  const Model model = Model::load(directory / "net.rne");
  std::vector<std::vector<float>> outputs;
  for (const char* device : {"reference", "cpu"}) {
    SessionOptions options;
    options.device = device;
    if (options.device == "cpu") options.precision = precision;
    Session session(model, options);
    std::vector<float>& y =
        outputs.emplace_back(static_cast<std::size_t>(input.n * model.output_size()), std::nanf(""));
    session.run({x.data(), input.n, input.h, input.w, input.c}, {y.data(), input.n, 1, 1, model.output_size()});
  }
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < outputs[0].size(); ++i) {
    difference += std::pow(static_cast<double>(outputs[1][i]) - outputs[0][i], 2);
    norm += std::pow(static_cast<double>(outputs[0][i]), 2);
  }
  EXPECT_GT(norm, 0.0);
  return std::sqrt(difference / norm);
}

class CpuConvolution : public ::testing::TestWithParam<Conv> {};

TEST_P(CpuConvolution, EqualsTheReference) {
  const Conv& c = GetParam();
  const auto x = test::random_values(static_cast<std::size_t>(c.N * c.H * c.W * c.C), 5);
  EXPECT_LT(error_of(network(c), {c.N, c.H, c.W, c.C}, x, Precision::fp32), 1e-5);
}

TEST(CpuBf16, RoundsNothingButTheOutputWhereTheFileIsSixteenBit) {
  if (!detect_cpu().avx512_bf16 && !detect_cpu().amx_bf16) GTEST_SKIP() << "this CPU has no bf16 instructions";
  const Conv c{2, 9, 9, 64, 32, 3, 1, 1, 1, "explicit", true, "relu", false};
  const Dims input{c.N, c.H, c.W, c.C};
  std::vector<float> x(static_cast<std::size_t>(input.elements()));  // values that bf16 holds exactly
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 65) / 16 - 2;
  NetworkSpec net = network(c);
  EXPECT_LT(error_of(net, input, x, Precision::bf16), 3e-3);  // weights times scale, then the output: 2.25e-3
  net.tensors["conv.w"].dtype = DType::bf16;
  EXPECT_LT(error_of(net, input, x, Precision::bf16), 1.8e-3);  // 1.62e-3 is what rounding the output alone gives
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, CpuConvolution,
    ::testing::Values(Conv{2, 14, 14, 16, 32, 3, 1, 1, 1, "explicit", true, "relu", true},   // Winograd, in place
                      Conv{3, 56, 56, 64, 64, 3, 1, 1, 1, "explicit", true, "relu", false},  // Winograd, several chunks
                      Conv{1, 15, 13, 24, 16, 3, 1, 1, 1, "same", false, "leaky_relu", true},
                      Conv{2, 14, 14, 16, 32, 3, 2, 1, 1, "explicit", true, "relu", true},
                      Conv{2, 15, 12, 3, 64, 7, 2, 1, 1, "explicit", true, "relu", false},  // stem
                      Conv{1, 12, 15, 3, 32, 7, 2, 1, 1, "same", true, "relu", false},
                      Conv{1, 9, 9, 1, 8, 3, 1, 1, 1, "explicit", false, "relu", false},
                      Conv{2, 9, 9, 17, 31, 3, 1, 1, 1, "explicit", true, "relu6", true},       // no multiple of eight
                      Conv{1, 14, 14, 128, 128, 3, 1, 32, 1, "explicit", true, "relu", false},  // ResNeXt
                      Conv{2, 9, 9, 64, 64, 3, 2, 32, 1, "explicit", true, "relu", true},       // groups of two
                      Conv{1, 9, 9, 24, 24, 3, 2, 24, 1, "same_lower", true, "silu", false},    // depthwise
                      Conv{1, 12, 12, 16, 16, 3, 1, 1, 2, "explicit", true, "sigmoid", false},  // dilated
                      Conv{1, 7, 7, 64, 128, 1, 1, 1, 1, "valid", true, "", true},
                      Conv{2, 8, 8, 64, 128, 1, 2, 1, 1, "valid", true, "hard_sigmoid", true},
                      Conv{1, 5, 5, 8, 8, 5, 1, 1, 1, "valid", false, "", false}));

/// Implementation of the step that computes `layer`.
std::string implementation_of(const Session& session, const std::string& layer) {
  const Json described = parse_json(session.describe_json(), "describe");
  for (const Json& step : described.at("steps").as_array()) {
    for (const Json& name : step.at("layers").as_array()) {
      if (name.as_string() == layer) return step.at("implementation").as_string();
    }
  }
  return "none";
}

TEST(CpuSelection, TakesWinogradWhereTilesPayForItAndSaysWhyNotElsewhere) {
  const test::ScratchFolder directory;
  test::write_bytes(directory / "net.rne", test::random_model(test::torchvision_resnet("resnet18", 224, 10), 1));
  SessionOptions options;
  options.device = "cpu";
  Session session(Model::load(directory / "net.rne"), options);
  session.prepare(1, 224, 224);
  const bool applies = detect_cpu().avx2;
  EXPECT_EQ(implementation_of(session, "layer1.0.conv1"), applies ? "winograd" : "onednn_convolution");
  EXPECT_EQ(implementation_of(session, "layer1.0.conv2"), applies ? "winograd" : "onednn_convolution_into_residual");
  EXPECT_EQ(implementation_of(session, "layer2.0.conv1"), "onednn_convolution");
  EXPECT_EQ(implementation_of(session, "layer4.1.conv2"), "onednn_convolution_into_residual");
  const std::string text = session.describe_json();
  EXPECT_NE(text.find("the stride is not 1"), std::string::npos);
}

TEST(CpuSelection, KeepsEveryResNetLayerOffTheReferenceLoops) {
  const test::ScratchFolder directory;
  for (const char* net : {"resnet18", "resnet50", "resnext50_32x4d"}) {
    test::write_bytes(directory / "net.rne", test::random_model(test::torchvision_resnet(net, 64, 10), 1));
    SessionOptions options;
    options.device = "cpu";
    Session session(Model::load(directory / "net.rne"), options);
    session.prepare(1, 64, 64);
    const Json described = parse_json(session.describe_json(), "describe");
    for (const Json& step : described.at("steps").as_array()) {
      const std::string& name = step.at("implementation").as_string();
      EXPECT_TRUE(name.starts_with("onednn") || name == "winograd" || name.find("view") != std::string::npos)
          << net << ": " << step.at("layers").dump() << " runs on " << name;
      EXPECT_EQ(step.at("detail").as_string().find("ref"), std::string::npos) << step.dump();
    }
  }
}

}  // namespace
}  // namespace resnet
