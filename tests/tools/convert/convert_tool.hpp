#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "convert/resnet_layers.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::convert {

using namespace resnet::test;

struct Result {
  int code = -1;
  std::string out, err;
};

/// A ResNet of torchvision's structure that is small enough for a test: 4 channels in the stem.
inline ResNetShape small_net() {
  ResNetArgs args;
  args.layers = {1, 1, 1, 1};
  args.channels = {4, 8, 16, 32};
  args.plain_stem = 4;
  ResNetShape shape = make_shape(args);
  shape.classes = 10;
  return shape;
}

inline std::vector<TorchTensor> small_tensors(const ResNetShape& shape = small_net()) {
  std::vector<TorchTensor> tensors;
  const Recipe recipe = resnet_recipe(shape);
  for (const WantedTensor& wanted : wanted_tensors(recipe)) {
    TorchTensor tensor{wanted.key, {}, {}};
    std::size_t count = 1;
    for (const std::int64_t size : recipe.expected.at(wanted.key)) {
      tensor.shape.push_back(static_cast<std::int32_t>(size));
      count *= static_cast<std::size_t>(size);
    }
    for (std::size_t i = 0; i < count; ++i) tensor.values.push_back(0.25f + static_cast<float>(i % 7) / 8);
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

/// resnet_convert as a user runs it, with a small network to convert.
class ConvertTool : public testing::Test {
 protected:
  Result convert(const std::string& arguments, const std::string& environment = {}) {
    const std::string command = environment + " " RESNET_BIN_DIR "/resnet_convert " + arguments + " >" +
                                (folder / "out") + " 2>" + (folder / "err") + " </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text(folder / "out"),
            read_text(folder / "err")};
  }
  std::string write(const std::string& name, const std::string& bytes) {
    write_text(folder / name, bytes);
    return folder / name;
  }
  bool exists(const std::string& name) { return std::filesystem::exists(folder / name); }

  ScratchFolder folder;
  std::string source = write("small.pth", torch_file(small_tensors()));
  std::string output = folder / "small.rne";
};

inline bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace resnet::convert
