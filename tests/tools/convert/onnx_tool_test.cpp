// ONNX files through the tool itself: exit codes, one line of error, the parent's side of external data.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "resnet_engine/model.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/golden_check.hpp"
#include "tools/convert/onnx_bytes.hpp"

namespace resnet::test {
namespace {

using onnx::attribute;
using onnx::ModelBytes;
using onnx::tensor;

struct Outcome {
  int exit_code = 0;
  std::string error;
};

class OnnxTool : public testing::Test {
 protected:
  Outcome convert(const std::string& source, const std::string& options = {}) const {
    const std::string errors = folder / "errors";
    const std::string command = RESNET_BIN_DIR "/resnet_convert --quiet " + source + " -o " + (folder / "net.rne") +
                                ' ' + options + " 2> " + errors;
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), read_text(errors)};
  }
  void expect_refusal(const ModelBytes& model, const std::string& part) const { expect_refusal(model.bytes(), part); }
  void expect_refusal(const std::string& bytes, const std::string& part) const {
    const std::string path = folder / "model.onnx";
    std::ofstream(path, std::ios::binary) << bytes;
    const Outcome outcome = convert(path);
    EXPECT_EQ(outcome.exit_code, 3) << outcome.error;
    EXPECT_NE(outcome.error.find(part), std::string::npos) << outcome.error;
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
    EXPECT_FALSE(std::filesystem::exists(folder / "net.rne"));
  }
  ScratchFolder folder;
};

TEST_F(OnnxTool, HostileFilesGiveExitCode3AndOneLine) {
  ModelBytes model;
  model.weight(tensor("w", {4, 3, 3, 3}, std::vector<float>{std::numeric_limits<float>::quiet_NaN()}))
      .add("Conv", {"x", "w"}, {"y"});
  expect_refusal(model, "w: element [0, 0, 0, 0] (out, row, column, in) is NaN or infinite");
  model = ModelBytes();
  model.weight(tensor("w", {4, 5, 3, 3})).add("Conv", {"x", "w"}, {"y"});
  expect_refusal(model, "layer 'y'");
  model = ModelBytes();
  model.inputs = {onnx::value("x", {1, 3, std::int64_t{1} << 40, 8})};
  model.add("Relu", {"x"}, {"y"});
  expect_refusal(model, "model.onnx");
  model = ModelBytes();
  model.add("Einsum\n\x1b[31m\xff", {"x"}, {"y"});  // no terminal sequence gets through
  expect_refusal(model, "Einsum__[31m");
  model = ModelBytes();
  model.weight(tensor("__metadata__", {4, 3, 3, 3})).add("Conv", {"x", "__metadata__"}, {"y"});
  expect_refusal(model, "__metadata__");
  // A hundred megabytes of records out of a few.
  std::string empty;
  for (int i = 0; i < 1'000'000; ++i) empty += std::string("\x2a\0", 2);
  expect_refusal(onnx::number(1, 8) + onnx::field(2, "p") + onnx::field(7, onnx::field(1, empty)), "model.onnx");
  std::string attributes;
  for (int i = 0; i < 200'000; ++i)
    attributes += onnx::field(5, onnx::field(6, onnx::field(1, "") + onnx::field(1, "")));
  expect_refusal(onnx::number(1, 8) + onnx::field(2, "p") + onnx::field(7, onnx::field(1, attributes)), "model.onnx");
}

TEST_F(OnnxTool, TooManyFilesThatMayHoldWeightsAreRefused) {
  std::filesystem::copy_file(golden_path("onnx/external.onnx"), folder / "external.onnx");
  for (int i = 0; i < 65; ++i) std::ofstream(folder / (std::to_string(i) + ".bin")) << i;
  const Outcome outcome = convert(folder / "external.onnx", "--allow-external-data");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_NE(outcome.error.find("the limit is 64"), std::string::npos) << outcome.error;
}

TEST_F(OnnxTool, AnArchitectureOrAMapBesideItsOwnIsAUsageError) {
  EXPECT_EQ(convert(golden_path("onnx/opset18.onnx"), "--arch resnet18").exit_code, 2);
  std::ofstream(folder / "map.txt") << "a -> b\n";
  EXPECT_EQ(convert(golden_path("onnx/opset18.onnx"), "--map " + (folder / "map.txt")).exit_code, 2);
  std::ofstream(folder / "arch.json") << "{}";
  const Outcome beside = convert(folder / "arch.json", "--weights " + golden_path("onnx/opset18.onnx"));
  EXPECT_EQ(beside.exit_code, 2);
  EXPECT_NE(beside.error.find("arch.json: is not needed: opset18.onnx describes its layers"), std::string::npos)
      << beside.error;
}

TEST_F(OnnxTool, AnInputSizeMayBeChosen) {
  ASSERT_EQ(convert(golden_path("onnx/opset18.onnx"), "--input-size 64x48").exit_code, 0);
  const Model model = Model::load(folder / "net.rne");
  EXPECT_NE(model.describe_json().find("64"), std::string::npos);
}

TEST_F(OnnxTool, ExternalDataIsOpenedOnlyAsARegularFileBesideTheModel) {
  namespace fs = std::filesystem;
  fs::copy_file(golden_path("onnx/external.onnx"), folder / "external.onnx");
  const std::string source = folder / "external.onnx", data = folder / "external.onnx.data";
  Outcome outcome = convert(source, "--allow-external-data");
  EXPECT_EQ(outcome.exit_code, 3);
  const auto refused = [&](const std::string& why) {
    outcome = convert(source, "--allow-external-data");
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_NE(outcome.error.find(why), std::string::npos) << outcome.error;
  };
  refused("\"external.onnx.data\", which is not in the model's folder; copy it there");
  fs::create_symlink(golden_path("onnx/external.onnx.data"), data);
  refused(data + ": is a link; copy the file itself");
  fs::remove(data);
  fs::create_directory(data);
  refused(data + ": is a directory; copy the file itself");
  fs::remove(data);
  ASSERT_EQ(::mkfifo(data.c_str(), 0600), 0);
  refused(data + ": is not a regular file; copy the file itself");
  fs::remove(data);
  fs::copy_file(golden_path("onnx/external.onnx.data"), data);
  EXPECT_EQ(convert(source).exit_code, 3);  // without leave
  EXPECT_EQ(convert(source, "--allow-external-data").exit_code, 0);
  const std::uintmax_t size = fs::file_size(data);
  const std::string onto =
      RESNET_BIN_DIR "/resnet_convert -q " + source + " --allow-external-data -o " + data + " 2> /dev/null";
  EXPECT_EQ(WEXITSTATUS(std::system(onto.c_str())), 2);
  EXPECT_EQ(fs::file_size(data), size);
  const std::string relative = "cd " + fs::path(source).parent_path().string() +
                               " && " RESNET_BIN_DIR
                               "/resnet_convert -q external.onnx --allow-external-data -o net.rne";
  EXPECT_EQ(WEXITSTATUS(std::system(relative.c_str())), 0);
  fs::resize_file(data, size - 1);
  outcome = convert(source, "--allow-external-data");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_NE(outcome.error.find("copy both files again"), std::string::npos) << outcome.error;
}

}  // namespace
}  // namespace resnet::test
