// The configuration files of timm and Hugging Face, read in memory.
#include "convert/source_config.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "resnet_engine/image.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

std::string golden(const std::string& name) { return read_text(RESNET_SOURCE_DIR "/tests/golden/" + name); }

SourceConfig read(const std::vector<std::pair<std::string, std::string>>& texts) {
  const SourceFile weights = SourceFile::from_bytes({}, "model.safetensors");
  SourceFiles files(weights);
  for (const auto& [name, text] : texts) files.beside.emplace(name, SourceFile::from_bytes(to_bytes(text), name));
  return read_source_config(files);
}
Preprocess preprocess_of(const std::string& preprocessor) {
  const SourceConfig config = read({{"preprocessor_config.json", preprocessor}});
  EXPECT_EQ(config.preprocess_refusal, "");
  return Preprocess::from_json(config.preprocess_json);
}

TEST(SourceConfig, IsEmptyWithoutFiles) {
  const SourceConfig config = read({});
  EXPECT_FALSE(config.net);
  EXPECT_EQ(config.preprocess_json, "");
  EXPECT_EQ(config.height, 0);
}

TEST(SourceConfig, ReadsTimmsPublishedForm) {
  // As the hub has them: the size to train at counts, as in timm's own example.
  const SourceConfig config = read({{"config.json", R"({"architecture": "resnet50", "num_classes": 1000,
    "pretrained_cfg": {"tag": "a1_in1k", "input_size": [3, 224, 224], "test_input_size": [3, 288, 288],
    "interpolation": "bicubic", "crop_pct": 0.95, "test_crop_pct": 1.0, "crop_mode": "center",
    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}})"}});
  ASSERT_TRUE(config.net && config.net->shape);
  EXPECT_EQ(config.net->name, "resnet50");
  EXPECT_TRUE(config.imagenet);
  const Preprocess preprocess = Preprocess::from_json(config.preprocess_json);
  EXPECT_EQ(preprocess.resize_h, 235);  // floor(224 / 0.95)
  EXPECT_EQ(preprocess.crop_h, 224);
}

TEST(SourceConfig, ReadsTimmsOldFormWithEverythingAtTheRoot) {
  const SourceConfig config =
      read({{"config.json", R"({"architecture": "gluon_resnet50_v1d", "input_size": [3, 128, 128],
    "crop_pct": 1.0, "interpolation": "bilinear", "crop_mode": "squash", "labels": ["a", "b"]})"}});
  ASSERT_TRUE(config.net && config.net->shape);
  EXPECT_TRUE(config.net->shape->average_down);
  EXPECT_EQ(config.labels, (std::vector<std::string>{"a", "b"}));
  const Preprocess preprocess = Preprocess::from_json(config.preprocess_json);
  EXPECT_EQ(preprocess.resize, ResizeMode::exact);
  EXPECT_EQ(preprocess.resize_w, 128);
}

TEST(SourceConfig, ReadsHuggingFacesSizesInAllForms) {
  const auto convnext = [](const std::string& size) {
    return R"({"feature_extractor_type": "ConvNextFeatureExtractor", "do_normalize": true, "resample": 3,
      "crop_pct": 0.875, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "size": )" +
           size + '}';
  };
  for (const char* size : {"224", R"({"shortest_edge": 224})"}) {
    const Preprocess preprocess = preprocess_of(convnext(size));
    EXPECT_EQ(preprocess.resize, ResizeMode::short_edge);
    EXPECT_EQ(preprocess.resize_h, 256);
    EXPECT_EQ(preprocess.crop_w, 224);
    EXPECT_EQ(preprocess.crop_rounding, CropRounding::down);
    EXPECT_EQ(preprocess.filter, Filter::bicubic);
  }
  const Preprocess large = preprocess_of(convnext("384"));  // from there on the picture is warped, not cropped
  EXPECT_EQ(large.resize, ResizeMode::exact);
  EXPECT_EQ(large.resize_h, 384);
  EXPECT_FALSE(large.crop);

  const Preprocess bit = preprocess_of(R"({"image_processor_type": "BitImageProcessor", "resample": 3,
    "size": {"height": 256, "width": 240}, "do_center_crop": true, "crop_size": {"height": 224, "width": 208},
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})");
  EXPECT_EQ(bit.resize, ResizeMode::exact);
  EXPECT_EQ(bit.resize_w, 240);
  EXPECT_TRUE(bit.crop);
  EXPECT_EQ(bit.crop_h, 224);
  EXPECT_EQ(bit.crop_w, 208);

  const Preprocess vit = preprocess_of(R"({"image_processor_type": "ViTImageProcessor", "resample": 2,
    "size": {"height": 96, "width": 128}, "do_rescale": true, "rescale_factor": 0.00784313725490196,
    "do_normalize": false})");
  EXPECT_EQ(vit.resize, ResizeMode::exact);
  EXPECT_EQ(vit.resize_w, 128);
  EXPECT_EQ(vit.filter, Filter::bilinear);
  EXPECT_TRUE(vit.mean.empty());
  EXPECT_DOUBLE_EQ(vit.scale, 0.00784313725490196);
}

TEST(SourceConfig, LeavesOutLabelsThatAreNone) {
  EXPECT_TRUE(read({{"config.json", R"({"model_type": "resnet", "id2label": {"0": "LABEL_0", "1": "LABEL_1"}})"}})
                  .labels.empty());
  const Error error = error_of([] {
    read({{"config.json", R"({"model_type": "resnet", "id2label": {"0": "cat", "2": "dog"}})"}});
  });
  EXPECT_NE(std::string(error.what()).find("gaps"), std::string::npos) << error.what();
}

/// One bit at a time: an error, or a configuration. Never more.
TEST(SourceConfig, SurvivesEveryFlippedBit) {
  for (const auto& [name, path] :
       {std::pair("config.json", "timm/hub/config.json"), std::pair("config.json", "huggingface/basic/config.json"),
        std::pair("preprocessor_config.json", "huggingface/basic/preprocessor_config.json")}) {
    const std::string text = golden(path);
    for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
      std::string changed = text;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
      try {
        read({{name, changed}});
      } catch (const Error& error) {
        EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace resnet::convert
