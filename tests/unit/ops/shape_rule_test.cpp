#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <numeric>
#include <set>

#include "op_runner.hpp"
#include "ops/window.hpp"
#include "resnet_engine/error.hpp"

namespace resnet::test {
namespace {

using Text = std::string;

constexpr std::int64_t huge = std::int64_t{1} << 40;

Tensor empty(const Dims& dims) { return {dims, {}}; }
Weight shaped(TensorShape shape) { return {std::move(shape), {}}; }

struct BadCase {
  const char* title;
  OpCall call;
  ErrorCode code;
  const char* text;
};

OpCall conv(AttrMap attrs, Dims in, TensorShape weight) {
  return {"conv2d", std::move(attrs), {empty(in)}, {shaped(std::move(weight))}};
}
OpCall pool(AttrMap attrs, Dims in = {1, 8, 8, 3}) {
  if (!attrs.contains("kernel")) attrs["kernel"] = Ints{3, 3};
  if (!attrs.contains("stride")) attrs["stride"] = Ints{2, 2};
  return {"max_pool", std::move(attrs), {empty(in)}, {}};
}

const Dims image{1, 8, 8, 4};
const TensorShape kernel{6, 3, 3, 4};

const BadCase bad_cases[] = {
    {"GroupsDoNotDivideC", conv({{"groups", std::int64_t{3}}}, image, {6, 3, 3, 1}), ErrorCode::bad_geometry,
     "4 input channels"},
    {"GroupsDoNotDivideK", conv({{"groups", std::int64_t{4}}}, image, {6, 3, 3, 1}), ErrorCode::tensor_shape,
     "6 output channels"},
    {"GroupsOfZero", conv({{"groups", std::int64_t{0}}}, image, kernel), ErrorCode::bad_attribute, "'groups' is 0"},
    {"WeightForOtherChannels", conv({}, image, {6, 3, 3, 8}), ErrorCode::bad_geometry, "takes 8"},
    {"WeightOfRank3", conv({}, image, {6, 3, 4}), ErrorCode::tensor_shape, "instead of 4 axes"},
    {"WeightOf2To40Channels", conv({}, image, {huge, 1, 1, 4}), ErrorCode::tensor_shape, "2^31 - 1"},
    {"BiasOfOtherSize",
     {"conv2d", {}, {empty(image)}, {shaped(kernel), shaped({5})}},
     ErrorCode::tensor_shape,
     "[5] instead of [6]"},
    {"BiasOfRank2",
     {"conv2d", {}, {empty(image)}, {shaped(kernel), shaped({6, 1})}},
     ErrorCode::tensor_shape,
     "[6, 1]"},
    {"KernelTallerThanTheInput", conv({}, {1, 2, 8, 4}, kernel), ErrorCode::bad_geometry,
     "height of 2 padded by 0 + 0"},
    {"KernelWiderThanThePaddedInput",
     conv({{"padding", Text("explicit")}, {"pads", Ints{0, 1, 0, 0}}}, {1, 8, 1, 4}, kernel), ErrorCode::bad_geometry,
     "width of 1 padded by 1 + 0"},
    {"DilatedKernelLargerThanTheInput", conv({{"dilation", Ints{4, 1}}}, image, kernel), ErrorCode::bad_geometry,
     "kernel of 9"},
    {"StrideOfZero", conv({{"stride", Ints{1, 0}}}, image, kernel), ErrorCode::bad_attribute, "'stride' is 0"},
    {"StrideOfOneValue", conv({{"stride", Ints{1}}}, image, kernel), ErrorCode::bad_attribute, "1 values instead of 2"},
    {"StrideOf2To40", conv({{"stride", Ints{huge, 1}}}, image, kernel), ErrorCode::bad_attribute, "'stride'"},
    {"DilationOfZero", conv({{"dilation", Ints{0, 1}}}, image, kernel), ErrorCode::bad_attribute, "'dilation' is 0"},
    {"NegativePads", conv({{"padding", Text("explicit")}, {"pads", Ints{0, 0, -1, 0}}}, image, kernel),
     ErrorCode::bad_attribute, "'pads' is -1"},
    {"PadsOf2To40", conv({{"padding", Text("explicit")}, {"pads", Ints{huge, 0, 0, 0}}}, image, kernel),
     ErrorCode::bad_attribute, "'pads'"},
    {"PadsWithoutExplicitPadding", conv({{"padding", Text("same")}, {"pads", Ints{1, 1, 1, 1}}}, image, kernel),
     ErrorCode::bad_attribute, "given with padding 'same'"},
    {"UnknownPadding", conv({{"padding", Text("SAME")}}, image, kernel), ErrorCode::bad_attribute, "'SAME'"},
    {"OutputBeyond64Bits", conv({{"padding", Text("same")}}, {1 << 20, 1 << 20, 1 << 20, 4}, {1 << 20, 1, 1, 4}),
     ErrorCode::overflow, "64 bits"},
    {"ChannelConvolutionOfAnImage",
     {"channel_conv1d", {}, {empty({1, 2, 1, 4})}, {shaped({3})}},
     ErrorCode::bad_geometry,
     "global_avg_pool"},
    {"ChannelConvolutionOfEvenLength",
     {"channel_conv1d", {}, {empty({1, 1, 1, 4})}, {shaped({4})}},
     ErrorCode::bad_geometry,
     "an odd number"},
    {"DenseOfAnImage", {"dense", {}, {empty({1, 2, 1, 4})}, {shaped({5, 4})}}, ErrorCode::bad_geometry, "flatten"},
    {"DenseForOtherFeatures",
     {"dense", {}, {empty({1, 1, 1, 4})}, {shaped({5, 3})}},
     ErrorCode::bad_geometry,
     "4 features"},
    {"DenseOfUnknownOrder",
     {"dense", {{"input_order", Text("chwn")}}, {empty({1, 1, 1, 4})}, {shaped({5, 4})}},
     ErrorCode::bad_attribute,
     "'chwn'"},
    {"DenseChannelsDoNotDivide",
     {"dense",
      {{"input_order", Text("nchw")}, {"input_channels", std::int64_t{3}}},
      {empty({1, 1, 1, 4})},
      {shaped({5, 4})}},
     ErrorCode::bad_attribute,
     "'input_channels' is 3"},
    {"DenseChannelsWithoutNchw",
     {"dense", {{"input_channels", std::int64_t{2}}}, {empty({1, 1, 1, 4})}, {shaped({5, 4})}},
     ErrorCode::bad_attribute,
     "'input_channels'"},
    {"NegativeEps",
     {"batch_norm", {{"eps", -1e-5}}, {empty(image)}, {{}, {}, shaped({4}), shaped({4})}},
     ErrorCode::bad_attribute,
     "'eps'"},
    {"InfiniteEps",
     {"batch_norm",
      {{"eps", std::numeric_limits<double>::infinity()}},
      {empty(image)},
      {{}, {}, shaped({4}), shaped({4})}},
     ErrorCode::bad_attribute,
     "not finite"},
    {"GammaOfOtherSize",
     {"batch_norm", {}, {empty(image)}, {shaped({3}), {}, shaped({4}), shaped({4})}},
     ErrorCode::tensor_shape,
     "'gamma'"},
    {"AddOfOtherSize",
     {"add", {}, {empty(image), empty({1, 8, 7, 4})}, {}},
     ErrorCode::bad_geometry,
     "1x8x8x4 and 1x8x7x4"},
    {"MulOfOtherChannels",
     {"mul", {}, {empty(image), empty({1, 1, 1, 3})}, {}},
     ErrorCode::bad_geometry,
     "1x8x8x4 by 1x1x1x3"},
    {"MulOfOneRow", {"mul", {}, {empty(image), empty({1, 1, 8, 4})}, {}}, ErrorCode::bad_geometry, "1x1x8x4"},
    {"PoolWithoutKernel",
     {"max_pool", {{"stride", Ints{1, 1}}}, {empty(image)}, {}},
     ErrorCode::bad_attribute,
     "'kernel'"},
    {"PoolKernelOfZero", pool({{"kernel", Ints{0, 1}}}), ErrorCode::bad_attribute, "'kernel' is 0"},
    {"PoolPadsOfTheKernelsSize", pool({{"padding", Text("explicit")}, {"pads", Ints{0, 0, 3, 0}}}),
     ErrorCode::bad_attribute, "not smaller than the kernel"},
    {"PoolKernelLargerThanTheInput", pool({{"kernel", Ints{9, 1}}}), ErrorCode::bad_geometry, "kernel of 9"},
    {"PoolKernelLargerThanTheInputInCeilMode", pool({{"kernel", Ints{10, 1}}, {"ceil_mode", true}}),
     ErrorCode::bad_geometry, "kernel of 10"},
    {"AdaptiveOutputOfZero",
     {"adaptive_avg_pool", {{"output", Ints{0, 1}}}, {empty(image)}, {}},
     ErrorCode::bad_attribute,
     "'output' is 0"},
    {"ReflectionLargerThanTheInput",
     {"pad", {{"pads", Ints{0, 8, 0, 0}}, {"mode", Text("reflect")}}, {empty(image)}, {}},
     ErrorCode::bad_geometry,
     "1x8x8x4"},
    {"UnknownPadMode",
     {"pad", {{"pads", Ints{1, 1, 1, 1}}, {"mode", Text("edge")}}, {empty(image)}, {}},
     ErrorCode::bad_attribute,
     "'edge'"},
    {"NegativePad",
     {"pad", {{"pads", Ints{1, 1, 1, -1}}}, {empty(image)}, {}},
     ErrorCode::bad_attribute,
     "'pads' is -1"},
    {"PadBeyondTheAxisLimit",
     {"pad", {{"pads", Ints{(std::int64_t{1} << 31) - 1, 0, 0, 0}}}, {empty(image)}, {}},
     ErrorCode::limit_exceeded,
     "2^31 - 1"},
    {"UnknownFlattenOrder",
     {"flatten", {{"order", Text("hwc")}}, {empty(image)}, {}},
     ErrorCode::bad_attribute,
     "'hwc'"},
    {"NotANumber",
     {"leaky_relu", {{"alpha", std::numeric_limits<double>::quiet_NaN()}}, {empty(image)}, {}},
     ErrorCode::bad_attribute,
     "'alpha' is not finite"},
    {"InputOfNoChannels",
     {"input", {{"channels", std::int64_t{0}}, {"height", std::int64_t{8}}, {"width", std::int64_t{8}}}, {}, {}},
     ErrorCode::bad_geometry,
     "1x8x8x0"},
};

class BadShapes : public testing::TestWithParam<BadCase> {};

TEST_P(BadShapes, AreRefusedWithTheLayersName) {
  try {
    const Dims dims = infer(GetParam().call);
    FAIL() << "accepted, " << to_string(dims);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), GetParam().code) << error.what();
    EXPECT_EQ(error.where(), "layer 'layer'") << error.what();
    EXPECT_NE(Text(error.what()).find(GetParam().text), Text::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, BadShapes, testing::ValuesIn(bad_cases),
                         [](const auto& instance) { return Text(instance.param.title); });

TEST(ShapeRules, KnowThePoolsOfResNet) {
  EXPECT_EQ(infer(pool({{"padding", Text("explicit")}, {"pads", Ints{1, 1, 1, 1}}}, {2, 112, 112, 64})),
            (Dims{2, 56, 56, 64}));
  EXPECT_EQ(infer(pool({{"padding", Text("valid")}}, {1, 110, 110, 64})), (Dims{1, 54, 54, 64}));
  EXPECT_EQ(infer(pool({{"padding", Text("same")}}, {1, 113, 112, 64})), (Dims{1, 57, 56, 64}));
}

/// The largest number of windows that a policy allows, counted one by one.
std::int64_t count_windows(std::int64_t input, std::int64_t before, std::int64_t after, std::int64_t extent,
                           std::int64_t stride, bool ceil_mode) {
  std::int64_t count = 0;
  for (std::int64_t start = -before;; start += stride) {
    const bool whole = start + extent <= input + after;
    const bool cut = ceil_mode && start < input && start - stride + extent < input + after;
    if (!whole && !(cut && (count > 0 || start + extent - (input + after) < stride))) return count;
    ++count;
  }
}

TEST(Windows, AreAsManyAsCountingGives) {
  for (std::int64_t input = 1; input <= 9; ++input) {
    for (std::int64_t extent = 1; extent <= 5; ++extent) {
      for (std::int64_t stride = 1; stride <= 4; ++stride) {
        for (std::int64_t before = 0; before < extent; ++before) {
          for (std::int64_t after = 0; after < extent; ++after) {
            for (const bool ceil_mode : {false, true}) {
              const OpCall call = pool({{"kernel", Ints{1, extent}},
                                        {"stride", Ints{1, stride}},
                                        {"ceil_mode", ceil_mode},
                                        {"padding", Text("explicit")},
                                        {"pads", Ints{0, before, 0, after}}},
                                       {1, 1, input, 1});
              const std::int64_t expected = count_windows(input, before, after, extent, stride, ceil_mode);
              std::int64_t actual = 0;
              try {
                actual = infer(call).w;
              } catch (const Error&) {
              }
              ASSERT_EQ(actual, expected) << "input " << input << " kernel " << extent << " stride " << stride
                                          << " pads " << before << ", " << after << (ceil_mode ? " ceil" : "");
            }
          }
        }
      }
    }
  }
}

TEST(Attributes, GetTheirDefaults) {
  const AttrMap attrs = complete_attrs(*find_op("conv2d"), {{"groups", std::int64_t{2}}}, "layer");
  EXPECT_EQ(attrs.size(), 5u);
  EXPECT_EQ(int_attr(attrs, "groups"), 2);
  EXPECT_EQ(ints_attr(attrs, "pads"), (Ints{0, 0, 0, 0}));
  EXPECT_EQ(string_attr(attrs, "padding"), "valid");
}

TEST(Attributes, TakeAnIntegerForANumber) {
  EXPECT_EQ(float_attr(complete_attrs(*find_op("leaky_relu"), {{"alpha", std::int64_t{1}}}, "layer"), "alpha"), 1.0);
}

ErrorCode attribute_error(const char* op, AttrMap attrs, const char* text) {
  try {
    complete_attrs(*find_op(op), attrs, "layer");
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "layer 'layer'");
    EXPECT_NE(Text(error.what()).find(text), Text::npos) << error.what();
    return error.code();
  }
  ADD_FAILURE() << "accepted";
  return ErrorCode::internal;
}

TEST(Attributes, AreRefusedWhenUnknownMissingOrOfTheWrongType) {
  EXPECT_EQ(attribute_error("conv2d", {{"kernel", Ints{3, 3}}}, "'kernel'"), ErrorCode::bad_attribute);
  EXPECT_EQ(attribute_error("relu", {{"alpha", 0.1}}, "relu has no attributes"), ErrorCode::bad_attribute);
  EXPECT_EQ(attribute_error("pad", {}, "'pads'"), ErrorCode::bad_attribute);
  EXPECT_EQ(attribute_error("conv2d", {{"groups", 2.0}}, "an integer"), ErrorCode::bad_attribute);
  EXPECT_EQ(attribute_error("conv2d", {{"groups", true}}, "true or false"), ErrorCode::bad_attribute);
  EXPECT_EQ(attribute_error("leaky_relu", {{"alpha", Text("0.1")}}, "a number"), ErrorCode::bad_attribute);
}

TEST(OpTable, HoldsEveryOpOnceWithAllThatItNeeds) {
  std::set<std::string_view> names;
  for (const OpDef* op : op_table()) {
    EXPECT_TRUE(names.insert(op->name).second) << op->name;
    EXPECT_EQ(find_op(op->name), op);
    EXPECT_FALSE(op->doc.empty()) << op->name;
    EXPECT_NE(op->infer, nullptr) << op->name;
    if (op->name == "input") continue;
    EXPECT_NE(op->reference_f32, nullptr) << op->name;
    EXPECT_NE(op->reference_f64, nullptr) << op->name;
    EXPECT_NE(op->reference_chain, nullptr) << op->name;
  }
  EXPECT_EQ(names.size(), 22u);
  EXPECT_EQ(find_op("conv3d"), nullptr);
}

TEST(OpTable, IsDocumentedWordByWord) {
  std::ifstream file(RESNET_SOURCE_DIR "/docs/ops.md");
  const Text page{std::istreambuf_iterator<char>(file), {}};
  // An op's section goes to the next heading of its level; the activations share one.
  const auto section = [&](std::string_view op) {
    std::size_t start = page.find("\n## " + Text(op) + "\n");
    if (start == Text::npos && page.find("\n| " + Text(op) + " |") != Text::npos)
      start = page.find("\n## Activations\n");
    return start == Text::npos ? Text() : page.substr(start, page.find("\n## ", start + 1) - start);
  };
  for (const OpDef* op : op_table()) {
    Text text = section(op->name);
    EXPECT_FALSE(text.empty()) << "docs/ops.md has no section about " << op->name;
    if (op->name == "avg_pool") text += section("max_pool");
    for (const AttrSpec& attr : op->attrs) EXPECT_NE(text.find(attr.name), Text::npos) << op->name << ": " << attr.name;
    for (const WeightSpec& weight : op->weights) {
      EXPECT_NE(text.find("`" + Text(weight.role) + "` " + Text(weight.shape.substr(0, weight.shape.find(']') + 1))),
                Text::npos)
          << op->name << ": " << weight.role;
    }
  }
}

}  // namespace
}  // namespace resnet::test
