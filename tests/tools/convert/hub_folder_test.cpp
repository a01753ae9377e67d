// Folders as Hugging Face's hub lays them out: weights, config.json, preprocessor_config.json, several weight files.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "model/model_file.hpp"
#include "resnet_engine/image.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;
namespace fs = std::filesystem;

struct Result {
  int code = -1;
  std::string out, err;
};

class HubFolder : public testing::Test {
 protected:
  Result convert(const std::string& arguments) {
    const std::string command = RESNET_BIN_DIR "/resnet_convert " + arguments + " -o " + output + " >" +
                                (folder / "out") + " 2>" + (folder / "err") + " </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text(folder / "out"),
            read_text(folder / "err")};
  }
  /// A copy of a golden folder that a test may break.
  std::string copy(const std::string& name) {
    const std::string to = folder / "hub";
    fs::remove_all(to);
    fs::copy(fs::path(RESNET_SOURCE_DIR) / "tests/golden" / name, to);
    for (const auto& entry : fs::directory_iterator(to)) {
      fs::permissions(entry.path(), fs::perms::owner_all);
    }
    return to;
  }
  void replace(const std::string& path, const std::string& old, const std::string& text) {
    std::string all = read_text(path);
    const std::size_t at = all.find(old);
    ASSERT_NE(at, std::string::npos) << old;
    write_text(path, all.replace(at, old.size(), text));
  }
  /// The text of a key with its array or scalar.
  static std::string member(const std::string& text, const std::string& key) {
    const std::size_t begin = text.find('"' + key + '"'), value = text.find(": ", begin) + 2;
    return text.substr(
        begin, text[value] == '[' ? text.find(']', value) + 1 - begin : text.find_first_of(",\n", value) - begin);
  }
  /// The folder "hub" is refused by a message that starts with the file and its key; the weight file is not at fault.
  void expect_refusal(const std::string& place, const std::string& why) {
    const Result run = convert(folder / "hub");
    EXPECT_EQ(run.code, 3) << run.out << run.err;
    EXPECT_EQ(run.err.rfind("resnet_convert: " + (folder / "hub/") + place, 0), 0u) << place << '\n' << run.err;
    EXPECT_NE(run.err.find(why), std::string::npos) << why << '\n' << run.err;
    EXPECT_NE(run.err.find("; "), std::string::npos) << run.err;  // the next step
    EXPECT_LT(run.err.size(), 600u) << run.err;
  }
  std::shared_ptr<const ModelFile> model() { return ModelFile::open(output); }

  ScratchFolder folder;
  std::string output = folder / "net.rne";
};

bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_F(HubFolder, TimmsLabelsSizeAndPreprocessingTravelAlong) {
  const Result run = convert(copy("timm/hub"));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(mentions(run.out, "config.json says resnetblur50d")) << run.out;
  EXPECT_TRUE(mentions(run.out, "blur pools")) << run.out;
  EXPECT_FALSE(mentions(run.out, "hint")) << run.out;
  const auto header = model()->header();
  ASSERT_EQ(header.labels.size(), 16u);
  EXPECT_EQ(header.labels[15], "name 15");
  EXPECT_EQ(header.graph.input_dims(), (Dims{1, 160, 160, 3}));
  const Preprocess preprocess = Preprocess::from_json(header.preprocess_json);
  EXPECT_EQ(preprocess.resize, ResizeMode::short_edge);
  EXPECT_EQ(preprocess.resize_h, 168);  // floor(160 / 0.95)
  EXPECT_EQ(preprocess.crop_h, 160);
  EXPECT_EQ(preprocess.filter, Filter::bicubic);
  EXPECT_EQ(preprocess.mean, (std::vector<double>{0.5, 0.4, 0.3}));
  EXPECT_EQ(preprocess.std, (std::vector<double>{0.2, 0.25, 0.3}));
}

TEST_F(HubFolder, HuggingFacesLabelsAndPreprocessingTravelAlong) {
  const Result run = convert(copy("huggingface/bottleneck_v1"));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(mentions(run.out, "stride in the first 1x1")) << run.out;
  const auto header = model()->header();
  ASSERT_EQ(header.labels.size(), 16u);
  EXPECT_EQ(header.labels[10], "class 10");
  const Preprocess preprocess = Preprocess::from_json(header.preprocess_json);
  EXPECT_EQ(preprocess.resize_h, 73);  // int(64 / 0.875)
  EXPECT_EQ(preprocess.crop_h, 64);
  EXPECT_EQ(preprocess.filter, Filter::bicubic);
  EXPECT_EQ(preprocess.mean, (std::vector<double>{0.5, 0.5, 0.5}));
}

TEST_F(HubFolder, AWeightFileWithItsConfigurationBesideItIsTheSame) {
  const std::string hub = copy("timm/hub");
  ASSERT_EQ(convert(hub).code, 0);
  const std::string bytes = read_text(output);
  ASSERT_EQ(convert(hub + "/model.safetensors").code, 0);
  EXPECT_TRUE(read_text(output) == bytes);
}

TEST_F(HubFolder, OptionsWinOverTheConfiguration) {
  std::string labels;
  for (int i = 0; i < 16; ++i) labels += "mine " + std::to_string(i) + '\n';
  write_text(folder / "labels.txt", labels);
  const Result run =
      convert(copy("timm/hub") + " --preset torchvision --labels " + (folder / "labels.txt") + " --input-size 96x96");
  ASSERT_EQ(run.code, 0) << run.err;
  const auto header = model()->header();
  EXPECT_EQ(header.labels[3], "mine 3");
  EXPECT_EQ(header.preprocess_json, Preprocess::preset("torchvision").with_input_size(96, 96).to_json());
  EXPECT_EQ(header.graph.input_dims(), (Dims{1, 96, 96, 3}));
}

TEST_F(HubFolder, AnotherNetworksConfigurationIsAnErrorThatNamesBoth) {
  const std::string hub = copy("timm/hub");
  replace(hub + "/config.json", "resnetblur50d", "resnetblur18");
  Result run = convert(hub);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "config.json: belongs to another network: resnetblur18 is basic blocks")) << run.err;
  EXPECT_TRUE(mentions(run.err, "the tensors are those of bottleneck blocks")) << run.err;
  EXPECT_EQ(convert(hub + " --arch resnet,aa=blur").code, 0);

  write_text(hub + "/config.json", R"({"model_type": "vit", "architectures": ["ViTForImageClassification"]})");
  run = convert(hub);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "names \"vit\", which is no ResNet that is known; the tensors are those of"))
      << run.err;
}

TEST_F(HubFolder, NetworksWithoutBatchNormAreRefusedByName) {
  for (const char* name : {"resnet50_gn", "resnetv2_50x1_bit.goog_in21k", "resnetv2_50d_evos"}) {
    const std::string hub = copy("timm/hub");
    replace(hub + "/config.json", "resnetblur50d", name);
    const Result run = convert(hub);
    EXPECT_EQ(run.code, 3);
    EXPECT_TRUE(mentions(run.err, std::string(name) + " cannot be converted: there is no support for its ")) << run.err;
  }
}

TEST_F(HubFolder, SettingsThatCannotBeExpressedAreRefusedUntilAnOptionDecides) {
  const std::string hub = copy("timm/hub");
  replace(hub + "/config.json", R"("crop_mode": "center")", R"("crop_mode": "border")");
  const Result run = convert(hub);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "crop_mode \"border\": cannot be expressed as a preset; choose one with --preset"))
      << run.err;
  EXPECT_EQ(convert(hub + " --preset torchvision").code, 0);

  const std::string strided = copy("timm/hub");
  replace(strided + "/config.json", R"("stem_width": 4)", R"("stem_width": 4, "output_stride": 16)");
  EXPECT_TRUE(mentions(convert(strided).err, "model_args.output_stride: changes the network"));

  const std::string gelu = copy("huggingface/basic");
  replace(gelu + "/config.json", R"("hidden_act": "relu")", R"("hidden_act": "gelu")");
  EXPECT_TRUE(mentions(convert(gelu).err, "hidden_act \"gelu\" is not supported"));
}

TEST_F(HubFolder, ALabelOffsetLeavesClassesOut) {
  const std::string hub = copy("timm/hub");
  replace(hub + "/config.json", R"("tag": "untrained")", R"("label_offset": 1)");
  replace(hub + "/config.json", "\"name 0\",", "");
  const Result run = convert(hub);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(mentions(run.out, "left out the first 1 classes")) << run.out;
  const auto shifted = model();
  EXPECT_EQ(shifted->header().labels[0], "name 1");
  std::vector<float> bias(15), all(16);
  shifted->read_f32(shifted->tensor("fc.bias"), bias);
  ASSERT_EQ(convert(copy("timm/hub")).code, 0);
  model()->read_f32(model()->tensor("fc.bias"), all);
  EXPECT_EQ(bias, std::vector<float>(all.begin() + 1, all.end()));
}

TEST_F(HubFolder, AConfigurationThatIsThereAndCannotBeReadIsAnErrorThatNamesIt) {
  for (const std::string name : {"config.json", "preprocessor_config.json"}) {
    const auto refused = [&](const std::string& why, const auto& put) {
      const std::string file = copy("huggingface/basic") + '/' + name;
      fs::remove(file);
      put(file);
      const Result run = convert(folder / "hub");
      EXPECT_EQ(run.code, 3) << run.out;
      EXPECT_EQ(run.err, "resnet_convert: " + file + ": " + why +
                             "; fetch it again, or convert the weight file alone from another folder\n");
      fs::remove(file);
    };
    // What an interrupted download leaves in the hub's cache.
    refused("is a link to a file that is missing",
            [](const std::string& file) { fs::create_symlink("../../blobs/gone", file); });
    refused("is a directory", [](const std::string& file) { fs::create_directory(file); });
    refused("is not a regular file", [](const std::string& file) { ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0); });
  }
  const std::string hub = copy("huggingface/basic");
  fs::rename(hub + "/config.json", hub + "/blob");
  fs::create_symlink("blob", hub + "/config.json");  // how a complete cache looks
  EXPECT_EQ(convert(hub).code, 0);
}

TEST_F(HubFolder, WeightsThatAreThereAndCannotBeReadAreNotPassedOver) {
  const std::string hub = copy("huggingface/basic");
  fs::rename(hub + "/model.safetensors", hub + "/pytorch_model.bin");
  fs::create_symlink("gone", hub + "/model.safetensors");
  const Result run = convert(hub);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "/model.safetensors: is a link to a file that is missing; fetch it again")) << run.err;
}

TEST_F(HubFolder, AMessageNamesOneFile) {
  const std::string hub = copy("timm/hub");
  write_text(hub + "/config.json", "{");
  const Result run = convert(hub);
  EXPECT_EQ(run.err.rfind("resnet_convert: " + hub + "/config.json: malformed JSON", 0), 0u) << run.err;
}

TEST_F(HubFolder, EveryFileOfAnIndexMustBeThereAndBelongToIt) {
  const std::string second = "model-00002-of-00002.safetensors", name = "/" + second;
  std::string hub = copy("huggingface/bottleneck");
  ASSERT_EQ(convert(hub).code, 0);
  EXPECT_EQ(convert(hub + "/model.safetensors.index.json").code, 0);
  fs::remove(hub + name);
  Result run = convert(hub);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "names files that are not beside it: " + second)) << run.err;

  hub = copy("huggingface/bottleneck");
  fs::rename(hub + name, hub + "/last.safetensors");  // any name will do
  std::string index = read_text(hub + "/model.safetensors.index.json");
  for (std::size_t at = index.find(second); at != std::string::npos; at = index.find(second)) {
    index.replace(at, second.size(), "last.safetensors");
  }
  write_text(hub + "/model.safetensors.index.json", index);
  EXPECT_EQ(convert(hub).code, 0);
  fs::remove(hub + "/last.safetensors");
  fs::create_symlink("gone", hub + "/last.safetensors");
  run = convert(hub);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "/last.safetensors: is a link to a file that is missing; fetch it again")) << run.err;

  hub = copy("huggingface/bottleneck");
  fs::copy_file(hub + "/model-00001-of-00002.safetensors", hub + name, fs::copy_options::overwrite_existing);
  run = convert(hub);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, second + ": lacks \"")) << run.err;

  hub = copy("huggingface/bottleneck");
  replace(hub + "/model.safetensors.index.json", "    \"classifier.1.bias\": \"" + second + "\",\n", "");
  run = convert(hub);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, second + ": holds \"classifier.1.bias\", which the index does not place there"))
      << run.err;
}

TEST_F(HubFolder, AFolderWithoutWeightsSaysWhatItLooksFor) {
  const std::string hub = copy("timm/hub");
  fs::remove(hub + "/model.safetensors");
  const Result run = convert(hub);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(
      mentions(run.err, "is a folder without model.safetensors, model.safetensors.index.json, pytorch_model.bin"))
      << run.err;
}

TEST_F(HubFolder, LabelsThatAreTooFewAreTheSourcesFault) {
  const std::string hub = copy("timm/hub");
  replace(hub + "/config.json", ",\n    \"name 15\"", "");
  const Result run = convert(hub);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "config.json: label_names: 15 labels, but the network puts out 16 values")) << run.err;
}

TEST_F(HubFolder, NumbersOfAConfigurationThatCannotBeAreItsFault) {
  const auto set = [&](const std::string& name, const std::string& file, const std::string& key,
                       const std::string& value) {
    const std::string path = copy(name) + '/' + file;
    replace(path, member(read_text(path), key), '"' + key + "\": " + value);
  };
  const auto preprocessor = [&](const std::string& key, const std::string& value) {
    set("huggingface/basic", "preprocessor_config.json", key, value);
  };
  for (const char* mean : {"[0.5, 0.5]", "[0.5, 0.5, 0.5, 0.5]"}) {
    preprocessor("image_mean", mean);
    expect_refusal("preprocessor_config.json: image_mean: ", "values for 3 channels: cannot be expressed");
  }
  for (const char* std : {"0", "-1", "1e+300"}) {
    preprocessor("image_std", std::string("[") + std + ", 1, 1]");
    expect_refusal("preprocessor_config.json: image_std: ", std::string(std) + " is out of range: cannot be");
  }
  EXPECT_EQ(convert((folder / "hub") + " --preset torchvision").code, 0);
  for (const char* factor : {"0", "1e+308"}) {
    preprocessor("rescale_factor", factor);
    expect_refusal("preprocessor_config.json: rescale_factor: ", std::string(factor) + " is out of range");
  }
  preprocessor("crop_pct", "0");
  expect_refusal("preprocessor_config.json: crop_pct 0.0: ", "choose one with --preset");

  replace(copy("timm/hub") + "/config.json", "\"mean\": [", "\"mean\": [1e300,");
  expect_refusal("config.json: pretrained_cfg.mean: ", "4 values for 3 channels");
  replace(copy("timm/hub") + "/config.json", "\"std\": [", "\"std\": [0], \"was\": [");
  expect_refusal("config.json: pretrained_cfg.std: ", "1 values for 3 channels");
  replace(copy("timm/hub") + "/config.json", "\"architecture\"", "\"pretrained_cfg\": 5, \"architecture\"");
  replace(folder / "hub/config.json", "\"pretrained_cfg\": {", "\"was\": {");
  expect_refusal("config.json: pretrained_cfg: ", "expected an object");
  set("timm/hub", "config.json", "layers", "[1, 1, 1, 1000000]");
  expect_refusal("config.json: model_args: ", "the number of blocks is 1000000");
  replace(copy("timm/hub") + "/config.json", "\"architecture\"", "\"label_offset\": 1, \"architecture\"");
  expect_refusal("config.json: label_names: ", "16 labels, but the network puts out 15 values behind label_");
  replace(copy("timm/hub") + "/config.json", "\"architecture\"", "\"label_offset\": 99, \"architecture\"");
  expect_refusal("config.json: label_offset: ", "leaves out 99 classes, but fc.");
}

TEST_F(HubFolder, ChannelsAndClassesOfAConfigurationMustBeTheTensors) {
  const auto put = [&](const std::string& name, const std::string& members) {
    replace(copy(name) + "/config.json", "{", '{' + members + ',');
  };
  replace(copy("huggingface/basic") + "/config.json", "\"num_channels\": 3", "\"num_channels\": 4");
  expect_refusal("config.json: belongs to another network: Hugging Face's ResNet is ",
                 "but its num_channels says 4 input channels, the tensors have 3");
  EXPECT_EQ(convert((folder / "hub") + " --arch resnet").code, 0);
  replace(copy("huggingface/basic") + "/config.json", ",\n    \"15\": \"class 15\"", "");
  expect_refusal("config.json: belongs to another", "its id2label says 15 classes, the tensors have 16");
  put("huggingface/basic", "\"num_labels\": 17");
  expect_refusal("config.json: belongs to another", "its num_labels says 17 classes, the tensors have 16");
  put("huggingface/basic", "\"num_labels\": 16");
  EXPECT_EQ(convert(folder / "hub").code, 0);
  replace(copy("timm/hub") + "/config.json", "\"num_classes\": 16", "\"num_classes\": 15");
  expect_refusal("config.json: belongs to another", "its num_classes says 15 classes, the tensors have 16");
}

TEST_F(HubFolder, DamagedConfigurationsAreExitCode3) {
  const std::string hub = copy("timm/hub");
  const std::string config = read_text(hub + "/config.json");
  for (std::size_t length = 0; length < config.size(); length += config.size() / 64) {
    write_text(hub + "/config.json", config.substr(0, length));
    EXPECT_EQ(convert(hub).code, 3) << length;
  }
  for (const char* text : {"[]", "{\"architecture\": 5}", "{\"architecture\": \"resnet50\", \"pretrained_cfg\": []}",
                           "{\"model_type\": \"resnet\", \"depths\": [1e9], \"hidden_sizes\": [4]}",
                           "{\"model_type\": \"resnet\", \"depths\": [1], \"hidden_sizes\": [99999999999]}"}) {
    write_text(hub + "/config.json", text);
    EXPECT_EQ(convert(hub).code, 3) << text;
  }
}

}  // namespace
}  // namespace resnet::convert
