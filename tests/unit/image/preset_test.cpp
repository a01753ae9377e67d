#include <gtest/gtest.h>

#include <limits>

#include "unit/image/golden.hpp"

namespace resnet::test {
namespace {

void expect_same(const Preprocess& a, const Preprocess& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.color, b.color);
  EXPECT_EQ(a.channel_order, b.channel_order);
  EXPECT_EQ(a.resize, b.resize);
  if (a.resize != ResizeMode::none) {
    EXPECT_EQ(a.resize_h, b.resize_h);
    EXPECT_EQ(a.resize_w, b.resize_w);
  }
  EXPECT_EQ(a.filter, b.filter);
  EXPECT_EQ(a.crop, b.crop);
  if (a.crop) {
    EXPECT_EQ(a.crop_h, b.crop_h);
    EXPECT_EQ(a.crop_w, b.crop_w);
  }
  EXPECT_EQ(a.scale, b.scale);
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.std, b.std);
}

/// The JSON of a preset with one field replaced (or removed, for an empty text).
std::string json_with(const std::string& field, const std::string& value) {
  Json json = parse_json(Preprocess::preset("torchvision").to_json(), "test");
  Json changed = Json::object();
  for (const auto& [key, old] : json.as_object()) {
    if (key != field) changed.set(key, old);
  }
  if (!value.empty()) changed.set(field, parse_json("[" + value + "]", "test").as_array()[0]);
  return changed.dump();
}

TEST(Preset, NamesAllWork) {
  const auto names = Preprocess::preset_names();
  for (const std::string wanted :
       {"torchvision", "torchvision-v2", "gray-small", "keras-caffe", "keras-tf", "keras-torch", "raw01", "raw255"}) {
    EXPECT_NE(std::find(names.begin(), names.end(), wanted), names.end()) << wanted;
  }
  for (const auto& name : names) EXPECT_EQ(Preprocess::preset(name).name, name);
}

TEST(Preset, UnknownNameListsTheKnownOnes) {
  const Error error = error_of([] { (void)Preprocess::preset("torchvison"); });
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  EXPECT_NE(error.next().find("torchvision-v2"), std::string::npos) << error.what();
}

TEST(Preset, SurvivesTheTripThroughJson) {
  for (const auto& name : Preprocess::preset_names()) {
    const Preprocess preset = Preprocess::preset(name);
    const std::string json = preset.to_json();
    const Preprocess back = Preprocess::from_json(json);
    expect_same(preset, back);
    EXPECT_EQ(back.to_json(), json);
  }
}

TEST(Preset, JsonOfEveryFilterAndResizeModeIsReadBack) {
  Preprocess custom = Preprocess::preset("keras-caffe");
  custom.name.clear();
  for (const Filter filter : {Filter::nearest, Filter::box, Filter::bilinear, Filter::bicubic, Filter::lanczos}) {
    for (const ResizeMode mode : {ResizeMode::none, ResizeMode::short_edge, ResizeMode::exact}) {
      custom.filter = filter;
      custom.resize = mode;
      custom.crop = true;
      custom.crop_rounding = mode == ResizeMode::exact ? CropRounding::down : CropRounding::even;
      const Preprocess back = Preprocess::from_json(custom.to_json());
      EXPECT_EQ(back.filter, filter);
      EXPECT_EQ(back.resize, mode);
      EXPECT_EQ(back.crop_rounding, custom.crop_rounding);
      EXPECT_EQ(back.name, "custom");
    }
  }
}

TEST(Preset, JsonErrorsNameTheField) {
  const std::tuple<const char*, const char*> cases[] = {{"color", "\"cmyk\""},
                                                        {"color", ""},
                                                        {"channel_order", "\"grb\""},
                                                        {"resize", "3"},
                                                        {"size", "[256]"},
                                                        {"size", "[256,0]"},
                                                        {"size", "[256,1.5]"},
                                                        {"size", ""},
                                                        {"filter", "\"hamming\""},
                                                        {"crop", "[0,224]"},
                                                        {"crop", "\"none\""},
                                                        {"crop", ""},
                                                        {"scale", "0"},
                                                        {"scale", "\"1/255\""},
                                                        {"scale", "1e300"},
                                                        {"mean", "[0.5]"},
                                                        {"mean", "[1,2,\"3\"]"},
                                                        {"mean", "0.5"},
                                                        {"std", "[1,1,0]"},
                                                        {"std", "[1,1,-1]"},
                                                        {"std", "[1,1,1e-60]"},
                                                        {"name", "7"},
                                                        {"gamma", "2.2"}};
  for (const auto& [field, value] : cases) {
    const Error error = error_of([&, f = field, v = value] { (void)Preprocess::from_json(json_with(f, v)); });
    EXPECT_EQ(error.code(), ErrorCode::bad_attribute) << error.what();
    EXPECT_EQ(error.where(), std::string("preprocess.") + field) << error.what();
    EXPECT_FALSE(error.next().empty()) << error.what();
    EXPECT_LT(error.message().size(), 60u) << error.what();  // 1e300 has 301 digits
  }
}

TEST(Preset, MalformedJsonIsABadHeader) {
  for (const char* text : {"", "[]", "{", "7", "{\"color\":\"rgb\",\"color\":\"rgb\"}"}) {
    EXPECT_EQ(error_of([&] { (void)Preprocess::from_json(text); }).code(), ErrorCode::bad_header) << text;
  }
}

TEST(Preset, ToJsonRefusesWhatItCouldNotReadBack) {
  Preprocess preprocess = Preprocess::preset("torchvision");
  preprocess.mean = {std::numeric_limits<double>::quiet_NaN(), 0, 0};
  EXPECT_EQ(error_of([&] { (void)preprocess.to_json(); }).code(), ErrorCode::invalid_argument);
}

TEST(InputSize, ScalesTheResizeEdgeInProportion) {
  const Preprocess small = Preprocess::preset("torchvision").with_input_size(160, 160);
  EXPECT_EQ(small.crop_h, 160);
  EXPECT_EQ(small.crop_w, 160);
  EXPECT_EQ(small.resize_h, 182);  // floor(256 * 160 / 224)
  const Preprocess same = Preprocess::preset("torchvision-v2").with_input_size(224, 224);
  expect_same(same, Preprocess::preset("torchvision-v2"));
}

TEST(InputSize, LetsTheLargerSideDecideTheShortEdge) {
  const Preprocess wide = Preprocess::preset("torchvision").with_input_size(224, 448);
  EXPECT_EQ(wide.crop_h, 224);
  EXPECT_EQ(wide.crop_w, 448);
  EXPECT_EQ(wide.resize_h, 512);
}

TEST(InputSize, ReplacesAnExactResize) {
  const Preprocess digits = Preprocess::preset("gray-small").with_input_size(8, 9);
  EXPECT_EQ(digits.resize_h, 8);
  EXPECT_EQ(digits.resize_w, 9);
  EXPECT_FALSE(digits.crop);
}

TEST(InputSize, IsBounded) {
  const Preprocess preset = Preprocess::preset("torchvision");
  EXPECT_EQ(error_of([&] { (void)preset.with_input_size(0, 224); }).code(), ErrorCode::invalid_argument);
  EXPECT_EQ(error_of([&] { (void)preset.with_input_size(224, 16385); }).code(), ErrorCode::invalid_argument);
  EXPECT_EQ(error_of([&] { (void)preset.with_input_size(16384, 16384); }).code(), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace resnet::test
