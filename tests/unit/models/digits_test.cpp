// The default model on pictures that it was not trained on, through the public API alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "resnet_engine/image.hpp"
#include "resnet_engine/model.hpp"
#include "resnet_engine/session.hpp"

namespace resnet {
namespace {

namespace fs = std::filesystem;

const fs::path source_dir = RESNET_SOURCE_DIR;
const std::string model_path = (source_dir / "models/digits.rne").string();
const fs::path data_dir = source_dir / "tests/unit/models";
constexpr std::int64_t picture_edge = 8, network_edge = 32;

/// Values of a version 1 .npy file of uint8.
std::vector<std::uint8_t> read_npy_u8(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (bytes.size() < 10) throw std::runtime_error(path.string() + " is missing or too short");
  const auto byte_at = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])); };
  const std::size_t header = 10 + byte_at(8) + 256 * byte_at(9);
  if (bytes.size() < header || std::string(bytes.begin() + 10, bytes.begin() + static_cast<std::ptrdiff_t>(header))
                                       .find("'descr': '|u1', 'fortran_order': False") == std::string::npos)
    throw std::runtime_error(path.string() + " is no C-ordered uint8 array");
  return {bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end()};
}

struct HeldOut {
  std::vector<Image> pictures;
  std::vector<std::uint8_t> labels;
};

HeldOut held_out() {
  const auto values = read_npy_u8(data_dir / "digits_heldout.npy");
  HeldOut data{{}, read_npy_u8(data_dir / "digits_heldout_labels.npy")};
  constexpr std::ptrdiff_t size = picture_edge * picture_edge;
  for (auto at = values.begin(); values.end() - at >= size; at += size)
    data.pictures.push_back({picture_edge, picture_edge, 1, {at, at + size}});
  return data;
}

/// Input tensor of one picture, as the model file says.
std::vector<float> prepared(const Model& model, const Image& image) {
  std::vector<float> tensor(static_cast<std::size_t>(network_edge * network_edge));
  TensorView view{tensor.data(), 1, network_edge, network_edge, 1};
  preprocess_image(image, model.preprocess().value(), view);
  return tensor;
}

/// Best class of every picture, in batches of `batch`.
std::vector<std::int64_t> classify(const Model& model, Session& session, const std::vector<Image>& images,
                                   std::size_t batch) {
  std::vector<std::int64_t> classes;
  for (std::size_t begin = 0; begin < images.size(); begin += batch) {
    const std::size_t count = std::min(batch, images.size() - begin);
    const auto n = static_cast<std::int64_t>(count);
    std::vector<float> input;
    for (std::size_t i = 0; i < count; ++i) {
      const auto one = prepared(model, images[begin + i]);
      input.insert(input.end(), one.begin(), one.end());
    }
    const auto outputs = static_cast<std::size_t>(model.output_size());
    std::vector<float> output(count * outputs);
    session.run(ConstTensorView{input.data(), n, network_edge, network_edge, 1},
                TensorView{output.data(), n, 1, 1, model.output_size()});
    for (std::size_t i = 0; i < count; ++i)
      classes.push_back(top_k(model, std::span(output).subspan(i * outputs, outputs), 1).front().index);
  }
  return classes;
}

TEST(DigitsModel, IsSmallEnoughForTheRepository) { EXPECT_LT(fs::file_size(model_path), 2'000'000u); }

TEST(DigitsModel, ReadsAtLeast97PercentOfTheHeldOutPictures) {
  const Model model = Model::load(model_path);
  Session session(model);
  const HeldOut data = held_out();
  ASSERT_EQ(data.pictures.size(), 360u);
  ASSERT_EQ(data.labels.size(), data.pictures.size());
  const auto classes = classify(model, session, data.pictures, 60);
  std::size_t right = 0;
  std::string wrong;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] == data.labels[i]) {
      ++right;
    } else {
      wrong += " #" + std::to_string(i) + ": " + std::to_string(data.labels[i]) + " read as " +
               std::to_string(classes[i]) + ";";
    }
  }
  const double accuracy = static_cast<double>(right) / static_cast<double>(classes.size());
  RecordProperty("right", static_cast<int>(right));
  std::printf("%zu of %zu right;%s\n", right, classes.size(), wrong.c_str());
  EXPECT_GE(accuracy, 0.97) << wrong;
}

TEST(DigitsModel, ReadsEverySamplePicture) {
  const Model model = Model::load(model_path);
  Session session(model);
  std::size_t png = 0, jpeg = 0;
  std::set<char> digits;
  for (const auto& entry : fs::directory_iterator(source_dir / "models/samples")) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("digit")) continue;
    (entry.path().extension() == ".png" ? png : jpeg) += 1;
    digits.insert(name.at(5));
    const Image image = load_image(entry.path().string(), {.color = ColorMode::gray});
    EXPECT_EQ(classify(model, session, {image}, 1).front(), name.at(5) - '0') << name;
  }
  EXPECT_GE(png, 12u);
  EXPECT_GE(jpeg, 1u);
  EXPECT_EQ(digits.size(), 10u);
}

TEST(DigitsModel, GetsTheSameTensorFromA8x8PictureAndItsSampleFile) {
  const Model model = Model::load(model_path);
  const HeldOut data = held_out();
  const auto first = std::find(data.labels.begin(), data.labels.end(), std::uint8_t{3}) - data.labels.begin();
  const Image file = load_image((source_dir / "models/samples/digit3_a.png").string(), {.color = ColorMode::gray});
  EXPECT_EQ(file.height, network_edge);
  EXPECT_EQ(prepared(model, file), prepared(model, data.pictures[static_cast<std::size_t>(first)]));
}

TEST(DigitsModel, NamesItsTenClasses) {
  const Model model = Model::load(model_path);
  ASSERT_EQ(model.labels().size(), 10u);
  EXPECT_EQ(model.labels().front(), "0");
  EXPECT_EQ(model.labels().back(), "9");
}

}  // namespace
}  // namespace resnet
