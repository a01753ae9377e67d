// Tensors of networks that have names and shapes only, and what the recogniser makes of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convert/known_nets.hpp"
#include "convert/name_families.hpp"
#include "convert/recognise.hpp"
#include "convert/recognise_resnet.hpp"
#include "convert/resnet_layers.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::test {

using namespace resnet::convert;

/// The tensors of a net as a state dict has them: its recipe's keys and num_batches_tracked.
inline std::vector<SourceTensor> state_dict(const ResNetShape& shape) {
  std::vector<SourceTensor> tensors;
  const Recipe recipe = resnet_recipe(shape);
  for (const WantedTensor& wanted : wanted_tensors(recipe)) {
    SourceTensor tensor;
    tensor.name = tensor.key = wanted.key;
    tensor.shape = recipe.expected.at(wanted.key);
    tensors.push_back(tensor);
    if (wanted.role != "var") continue;
    tensor.name = tensor.key = wanted.key.substr(0, wanted.key.rfind('.')) + ".num_batches_tracked";
    tensor.shape.clear();
    tensor.type = SourceType::i64;
    tensors.push_back(tensor);
  }
  return tensors;
}

inline SourceTensor tensor(const std::string& name, TensorShape shape) {
  SourceTensor made;
  made.name = made.key = name;
  made.shape = std::move(shape);
  return made;
}
inline void remove(std::vector<SourceTensor>& tensors, const std::string& name) {
  tensors.erase(std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == name; }));
}
inline SourceTensor& find(std::vector<SourceTensor>& tensors, const std::string& name) {
  return *std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == name; });
}

/// Of torchvision's structure, with `planes` channels in the stem instead of 64.
inline ResNetShape narrow(bool bottleneck, std::vector<std::int64_t> layers, std::int64_t planes, std::int64_t classes,
                          std::int64_t channels = 3, std::int64_t groups = 1) {
  ResNetArgs args;
  args.bottleneck = bottleneck;
  for (std::size_t i = 0; i < layers.size(); ++i) args.channels.push_back(planes << i);
  args.layers = std::move(layers);
  args.plain_stem = planes;
  args.cardinality = groups;
  args.base_width = 64 / groups;
  ResNetShape shape = make_shape(args);
  shape.classes = classes;
  shape.input_channels = channels;
  return shape;
}

inline Recipe choose(std::vector<SourceTensor> tensors, const std::string& arch = "auto") {
  ArchChoice choice;
  choice.name = arch;
  choice.answers = take_answers(choice.name);
  return choose_recipe(choice, tensors);
}
/// The error of choosing and mapping.
inline std::string refusal(std::vector<SourceTensor> tensors, const std::string& arch = "auto") {
  const Error error = error_of([&] {
    ArchChoice choice;
    choice.name = arch;
    choice.answers = take_answers(choice.name);
    const Recipe recipe = choose_recipe(choice, tensors);
    map_tensors(recipe, TensorIndex(tensors));
  });
  EXPECT_EQ(error.code(), ErrorCode::import_failed) << error.what();
  return error.what();
}
inline bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace resnet::test
