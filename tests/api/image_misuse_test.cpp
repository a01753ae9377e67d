#include <gtest/gtest.h>

#include <optional>
#include <span>
#include <vector>

#include "resnet_engine/error.hpp"
#include "resnet_engine/image.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_model.hpp"

namespace resnet::test {
namespace {

template <class Call>
std::optional<ErrorCode> refusal(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

Preprocess cropped(std::int64_t size) { return Preprocess::preset("torchvision").with_input_size(size, size); }

TEST(ImageMisuse, OutputsOfTheWrongShapeTypeOrPlaceAreRefused) {
  const Image image{8, 8, 3, std::vector<std::uint8_t>(8 * 8 * 3)};
  std::vector<float> out(16 * 16 * 3);
  const auto with = [&](const TensorView& view) {
    return refusal([&] { preprocess_image(image, cropped(16), view); });
  };
  EXPECT_EQ(with({out.data(), 1, 16, 16, 3}), std::nullopt);
  EXPECT_EQ(with({out.data(), 1, 16, 15, 3}), ErrorCode::invalid_argument);
  EXPECT_EQ(with({out.data(), 2, 16, 16, 3}), ErrorCode::invalid_argument);
  EXPECT_EQ(with({out.data(), 1, 16, 16, 1}), ErrorCode::invalid_argument);
  EXPECT_EQ(with({nullptr, 1, 16, 16, 3}), ErrorCode::invalid_argument);
  EXPECT_EQ(with({out.data(), 1, 16, 16, 3, DType::bf16}), ErrorCode::invalid_argument);
  EXPECT_EQ(with({out.data(), 1, 16, 16, 3, DType::f32, Layout::nhwc, MemoryKind::device}),
            ErrorCode::invalid_argument);
}

TEST(ImageMisuse, AnImageWhosePixelsDoNotFitItsSizeIsRefused) {
  std::vector<float> out(16 * 16 * 3);
  const TensorView view{out.data(), 1, 16, 16, 3};
  const auto with = [&](const Image& image) { return refusal([&] { preprocess_image(image, cropped(16), view); }); };
  EXPECT_EQ(with({8, 8, 3, std::vector<std::uint8_t>(8 * 8 * 3 - 1)}), ErrorCode::invalid_argument);
  EXPECT_TRUE(with({0, 8, 3, {}})) << "a picture without pixels";
  EXPECT_TRUE(with({8, 8, 2, std::vector<std::uint8_t>(128)})) << "neither grey nor RGB";
}

TEST(ImageMisuse, ResizingToNothingIsRefused) {
  const Image image{2, 2, 1, std::vector<std::uint8_t>(4)};
  EXPECT_EQ(refusal([&] { resize_image(image, 0, 2, Filter::bilinear); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { resize_image(image, 2, -1, Filter::nearest); }), ErrorCode::invalid_argument);
}

TEST(ImageMisuse, BytesThatAreNoPictureAreTold) {
  EXPECT_TRUE(refusal([] { decode_image({}); }));
  const std::vector<std::uint8_t> noise(100, 0x5A);
  EXPECT_EQ(refusal([&] { decode_image(noise); }), ErrorCode::image_unsupported);
}

TEST(ImageMisuse, ATruncatedPictureIsCorrupt) {
  const std::string whole = bmp(8, 8, {1, 2, 3});
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(whole.data()), whole.size() - 1);
  EXPECT_EQ(refusal([&] { decode_image(bytes); }), ErrorCode::image_corrupt);
}

TEST(ImageMisuse, AMissingFileIsNamed) {
  try {
    load_image("/nowhere/cat.jpg");
    FAIL() << "loaded a missing file";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
    EXPECT_NE(std::string(error.what()).find("/nowhere/cat.jpg"), std::string::npos);
  }
}

TEST(PreprocessMisuse, UnknownNamesAndFieldsAreRefused) {
  EXPECT_EQ(refusal([] { Preprocess::preset("imagenet"); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([] { Preprocess::from_json("{"); }), ErrorCode::bad_header);
  EXPECT_EQ(refusal([] { Preprocess::from_json("{\"sharpen\": 1}"); }), ErrorCode::bad_attribute);
  EXPECT_EQ(refusal([] { cropped(0); }), ErrorCode::invalid_argument);
}

TEST(PreprocessMisuse, EveryPresetSurvivesItsOwnJson) {
  for (const auto& name : Preprocess::preset_names()) {
    const std::string json = Preprocess::preset(name).to_json();
    EXPECT_EQ(Preprocess::from_json(json).to_json(), json) << name;
  }
}

}  // namespace
}  // namespace resnet::test
