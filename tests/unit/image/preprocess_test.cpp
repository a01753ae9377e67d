#include <gtest/gtest.h>

#include <cmath>

#include "image/decoders.hpp"
#include "image/geometry.hpp"
#include "image/normalize.hpp"
#include "unit/image/golden.hpp"

namespace resnet::test {
namespace {

/// Float memory that is NaN until it is written, with a guard behind it.
struct Tensor {
  std::vector<float> values;
  TensorView view;

  Tensor(std::int64_t h, std::int64_t w, std::int64_t c, Layout layout)
      : values(static_cast<std::size_t>(h * w * c), std::nanf("")),
        view{values.data(), 1, h, w, c, DType::f32, layout, MemoryKind::host} {}
};

std::vector<float> nchw_of(const Tensor& nhwc) {
  const TensorView& v = nhwc.view;
  std::vector<float> result;
  for (std::int64_t c = 0; c < v.c; ++c)
    for (std::int64_t i = 0; i < v.h * v.w; ++i) result.push_back(nhwc.values[static_cast<std::size_t>(i * v.c + c)]);
  return result;
}

Preprocess preprocess_of(const Json& record) {
  if (const Json* preset = record.find("preset")) return Preprocess::preset(preset->as_string());
  Preprocess preprocess;  // a bare crop to floats
  preprocess.resize = ResizeMode::none;
  preprocess.crop_h = record.at("crop").as_array()[0].as_int();
  preprocess.crop_w = record.at("crop").as_array()[1].as_int();
  return preprocess;
}

void expect_equal(const std::vector<float>& nchw, const Json& record) {
  for (const Json& probe : record.at("probes").as_array()) {
    const auto index = static_cast<std::size_t>(probe.as_array()[0].as_int());
    EXPECT_EQ(nchw[index], static_cast<float>(probe.as_array()[1].as_double())) << record.dump();
  }
  EXPECT_EQ(crc32(nchw), record.at("crc").as_int()) << record.dump();
}

TEST(Preprocess, EqualsTorchvisionAndKerasBitForBit) {
  const auto records = read_golden_json("preprocess.json");
  ASSERT_GT(records.size(), 40u);
  int compared = 0;
  for (const Json& record : records) {
    const Preprocess preprocess = preprocess_of(record);
    const auto& shape = record.at("shape").as_array();
    Tensor nchw(shape[1].as_int(), shape[2].as_int(), shape[0].as_int(), Layout::nchw);
    Tensor nhwc(shape[1].as_int(), shape[2].as_int(), shape[0].as_int(), Layout::nhwc);
    if (const Json* file = record.find("file")) {
      const std::string name = file->as_string();
      if (name.ends_with(".jpg") && jpeg_decoder_name() == "stb_image") continue;
      preprocess_file(golden_path(name), preprocess, false, nchw.view);
      preprocess_file(golden_path(name), preprocess, false, nhwc.view);
    } else {
      const auto& n = record.at("noise").as_array();
      const Image image = noise(n[0].as_int(), n[1].as_int(), n[2].as_int(), static_cast<std::uint32_t>(n[3].as_int()));
      const ImageSize size = preprocessed_size(image, preprocess);
      ASSERT_EQ(size.height, nchw.view.h);
      ASSERT_EQ(size.width, nchw.view.w);
      preprocess_image(image, preprocess, nchw.view);
      preprocess_image(image, preprocess, nhwc.view);
    }
    ++compared;
    expect_equal(nchw.values, record);
    expect_equal(nchw_of(nhwc), record);
  }
  EXPECT_GT(compared, 30);
}

/// What normalising begins with: the same pixels in the same order of channels.
TEST(Preprocess, WritesTheBytesThatItWouldNormalise) {
  for (const char* name : {"torchvision", "keras-caffe"}) {
    const Preprocess preprocess = Preprocess::preset(name);
    const NormalizeTable table = make_normalize_table(preprocess);
    const Image image = noise(300, 280, 3, 5);
    for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
      Tensor floats(224, 224, 3, layout);
      std::vector<std::uint8_t> bytes(floats.values.size());
      preprocess_image(image, preprocess, floats.view);
      preprocess_image(image, preprocess, {bytes.data(), 1, 224, 224, 3, DType::u8, layout});
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        const std::size_t channel = layout == Layout::nhwc ? i % 3 : i / std::size_t{224 * 224};
        if (table[channel][bytes[i]] != floats.values[i]) ++wrong;
      }
      EXPECT_EQ(wrong, 0u) << name;
    }
  }
}

TEST(Preprocess, DividesBytesBy255AsFloat32Does) {
  Preprocess unit;
  const auto table = make_normalize_table(unit);
  const auto tf = make_normalize_table(Preprocess::preset("keras-tf"));
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(table[0][static_cast<std::size_t>(byte)], static_cast<float>(byte) / 255.0f) << byte;
    EXPECT_EQ(tf[1][static_cast<std::size_t>(byte)], static_cast<float>(byte) / 127.5f - 1.0f) << byte;
  }
}

TEST(Preprocess, BgrPutsBlueIntoChannelZero) {
  const Image image{1, 1, 3, {10, 20, 30}};
  Preprocess preprocess = Preprocess::preset("raw255").with_input_size(1, 1);
  preprocess.channel_order = ChannelOrder::bgr;
  preprocess.mean = {1, 2, 3};
  Tensor tensor(1, 1, 3, Layout::nhwc);
  preprocess_image(image, preprocess, tensor.view);
  EXPECT_EQ(tensor.values, (std::vector<float>{29, 18, 7}));
}

TEST(Preprocess, MakesAColourImageGreyAndAGreyImageColour) {
  Preprocess gray = Preprocess::preset("raw255").with_input_size(1, 2);
  gray.color = ColorMode::gray;
  Tensor one(1, 2, 1, Layout::nhwc);
  preprocess_image({1, 2, 3, {255, 0, 0, 0, 0, 255}}, gray, one.view);
  EXPECT_EQ(one.values, (std::vector<float>{76, 29}));

  const Preprocess color = Preprocess::preset("raw255").with_input_size(1, 2);
  Tensor three(1, 2, 3, Layout::nhwc);
  preprocess_image({1, 2, 1, {7, 9}}, color, three.view);
  EXPECT_EQ(three.values, (std::vector<float>{7, 7, 7, 9, 9, 9}));
}

TEST(Preprocess, OfAFileEqualsLoadingAndPreprocessingIt) {
  const Preprocess preprocess = Preprocess::preset("torchvision");
  for (const std::string name : {"progressive-444.jpg", "gray.jpg", "rgba-16-interlaced.png", "palette.bmp"}) {
    Tensor direct(224, 224, 3, Layout::nhwc), stepwise(224, 224, 3, Layout::nhwc);
    preprocess_file(golden_path(name), preprocess, false, direct.view);
    preprocess_image(load_image(golden_path(name)), preprocess, stepwise.view);
    EXPECT_EQ(direct.values, stepwise.values) << name;
  }
}

TEST(Preprocess, OfALongThinPictureComputesOnlyTheCrop) {
  // 1 x 16384 resized to short edge 256 would be 256 x 4194304 pixels, 3 GiB.
  const Image thin = noise(1, 16384, 3, 3);
  Tensor tensor(224, 224, 3, Layout::nchw);
  preprocess_image(thin, Preprocess::preset("torchvision"), tensor.view);
  for (const float value : tensor.values) ASSERT_TRUE(std::isfinite(value));
}

TEST(Preprocess, RefusesAnUncroppedResultBeyondTheLimits) {
  Preprocess preprocess = Preprocess::preset("torchvision");
  preprocess.crop = false;
  const Image thin = noise(1, 16384, 3, 3);
  EXPECT_EQ(error_of([&] { (void)preprocessed_size(thin, preprocess); }).code(), ErrorCode::image_limit);
}

TEST(Preprocess, RefusesATensorOfAnotherShape) {
  const Image image = noise(30, 30, 3, 1);
  const Preprocess preprocess = Preprocess::preset("torchvision");
  Tensor good(224, 224, 3, Layout::nhwc);
  const auto code_for = [&](auto change) {
    TensorView view = good.view;
    change(view);
    const Error error = error_of([&] { preprocess_image(image, preprocess, view); });
    EXPECT_FALSE(error.next().empty());
    return error.code();
  };
  EXPECT_EQ(code_for([](TensorView& v) { v.h = 223; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_for([](TensorView& v) { v.n = 2; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_for([](TensorView& v) { v.c = 1; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_for([](TensorView& v) { v.dtype = DType::bf16; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_for([](TensorView& v) { v.memory = MemoryKind::device; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_for([](TensorView& v) { v.data = nullptr; }), ErrorCode::invalid_argument);
  for (const float value : good.values) ASSERT_TRUE(std::isnan(value)) << "a refused tensor was written";
}

TEST(Preprocess, NamesTheFileWhenTheTensorDoesNotFit) {
  Tensor tensor(8, 8, 3, Layout::nhwc);
  const std::string path = golden_path("rgb.png");
  const Error error = error_of([&] { preprocess_file(path, Preprocess::preset("torchvision"), false, tensor.view); });
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  EXPECT_EQ(error.where(), path);
}

TEST(CenterCrop, RoundsHalfToEven) {
  EXPECT_EQ(center_crop_axis(341, 224, CropRounding::even).begin, 58);  // 58.5
  EXPECT_EQ(center_crop_axis(343, 224, CropRounding::even).begin, 60);  // 59.5
  EXPECT_EQ(center_crop_axis(341, 224, CropRounding::down).begin, 58);
  EXPECT_EQ(center_crop_axis(343, 224, CropRounding::down).begin, 59);
  EXPECT_EQ(center_crop_axis(256, 224, CropRounding::even).begin, 16);
  EXPECT_EQ(center_crop_axis(5, 5, CropRounding::even).begin, 0);
}

TEST(CenterCrop, PutsTheOddPaddingBehindASmallPicture) {
  const CropAxis axis = center_crop_axis(10, 13, CropRounding::even);
  EXPECT_EQ(axis.offset, 1);
  EXPECT_EQ(axis.begin, 0);
  EXPECT_EQ(axis.length, 10);
}

}  // namespace
}  // namespace resnet::test
