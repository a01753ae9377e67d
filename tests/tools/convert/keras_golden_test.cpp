// Files that three generations of Keras wrote, in every layout: the outputs are those that Keras computed
// (tests/golden/keras/make.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "convert/importers/zip_archive.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/golden_check.hpp"

namespace resnet::test {
namespace {

/// Weight files are kept compressed: HDF5 is mostly air when tensors are small.
std::string unpacked(const std::string& name, const ScratchFolder& folder) {
  const auto file = convert::SourceFile::open(golden_path("keras/" + name + ".zip"));
  const convert::ZipArchive zip(file, convert::ZipArchive::Compression::allowed);
  const auto bytes = zip.read(zip.find("weights.h5").value());
  const std::string path = folder / name;
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return path;
}

class KerasGolden : public testing::TestWithParam<const char*> {
 protected:
  std::string file(const std::string& rest) const { return std::string("keras/") + GetParam() + rest; }
  Golden golden(const std::string& source, const std::string& model) const {
    const bool subclassed = model == "subclassed";
    return {source, subclassed ? "keras/x_subclassed.npy" : "keras/x.npy", file("." + model + ".y.npy"), Layout::nhwc};
  }
};

TEST_P(KerasGolden, ArchivesGiveKerasOutputs) {
  for (const std::string model : {"plain", "features"}) expect_golden(golden(file("." + model + ".keras"), model));
}

TEST_P(KerasGolden, WholeHdf5ModelsGiveKerasOutputs) {
  expect_golden(golden(file(".plain.h5"), "plain"));
  // Keras 3 itself cannot load the .h5 that it writes of a model with x + y.
  if (std::string(GetParam()) != "keras3") expect_golden(golden(file(".features.h5"), "features"));
}

TEST_P(KerasGolden, ArchitectureAndWeightsApartGiveKerasOutputs) {
  const ScratchFolder folder;
  const std::string weights = unpacked(GetParam() + std::string(".plain.weights.h5"), folder);
  expect_golden(golden(weights + " --arch " + file(".plain.json"), "plain"));
  expect_golden(golden(file(".plain.json") + " --weights " + weights, "plain"));
}

TEST_P(KerasGolden, ASubclassedModelsWeightsFindTheirRecipe) {
  const ScratchFolder folder;
  const std::string weights = unpacked(GetParam() + std::string(".subclassed.weights.h5"), folder);
  expect_golden(golden(weights + " --input-size 64x64", "subclassed"));
  expect_golden(golden(weights + " --input-size 64x64 --arch keras-subclassed-resnet50", "subclassed"));
}

TEST(KerasArchitecture, ItsErrorsAreNotTheWeightFiles) {
  const ScratchFolder folder;
  const std::string weights = unpacked("keras3.plain.weights.h5", folder), json = folder / "net.json",
                    said = folder / "err";
  const std::string good = read_text(golden_path("keras/keras3.plain.json"));
  const auto error_with = [&](const std::string& text, const std::string& arguments) {
    std::ofstream(json, std::ios::binary) << text;
    const std::string command =
        RESNET_BIN_DIR "/resnet_convert " + arguments + " -o " + (folder / "net.rne") + " 2>" + said;
    EXPECT_NE(std::system(command.c_str()), 0);
    return read_text(said);
  };
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& bad :
       {changed("[7,7],\"strides\":[2,2]", "[7,7],\"strides\":[0,0]"), changed("\"strides\"", "\"stridez\""),
        changed("\"conv2d\",0", "\"no\",0"), std::string("{\"class_name\""), std::string("{\"class_name\":[]}")}) {
    for (const std::string& arguments : {json + " --weights " + weights, weights + " --arch " + json}) {
      const std::string error = error_with(bad, arguments);
      EXPECT_TRUE(error.starts_with("resnet_convert: " + json + ": ")) << error;
      EXPECT_NE(error.find("; "), std::string::npos) << error;  // what to do
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, KerasGolden, testing::Values("keras3", "tfkeras", "keras213"),
                         [](const auto& version) { return std::string(version.param); });

TEST(KerasGoldenOlderLayout, GoesByOrderWhereTheNamesAreOfAnotherSession) {
  const ScratchFolder folder;
  const std::string weights = unpacked("tfkeras.shifted_weights.h5", folder);
  expect_golden(
      {"keras/tfkeras.plain.json --weights " + weights, "keras/x.npy", "keras/tfkeras.shifted.y.npy", Layout::nhwc});
}

TEST(KerasGoldenTypes, SixteenBitWeightsAreKept) {
  for (const std::string type : {"float16", "bfloat16"}) {
    for (const char* suffix : {".keras", ".h5"})
      expect_golden({"keras/keras3." + type + suffix, "keras/x.npy", "keras/keras3." + type + ".y.npy", Layout::nhwc});
  }
}

TEST(KerasGoldenOlderLayout, ASubclassedModelsWeightsFindTheirRecipe) {
  const ScratchFolder folder;
  const std::string weights = unpacked("tfkeras.subclassed_weights.h5", folder);
  expect_golden(
      {weights + " --input-size 64x64", "keras/x_subclassed.npy", "keras/tfkeras.subclassed.y.npy", Layout::nhwc});
}

}  // namespace
}  // namespace resnet::test
