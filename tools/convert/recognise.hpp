#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/arch_answers.hpp"
#include "convert/recipe.hpp"
#include "convert/tensors.hpp"

namespace resnet::convert {

/// A recipe that is embedded into the tool (models/recipes/*.json) or read from a file.
struct RecipeText {
  std::string name;  ///< "digits", or the path
  std::string json;
};

/// The network that a configuration beside the weights names.
struct ConfiguredNet {
  std::string name;                  ///< "resnet50d"
  std::string where;                 ///< the file, for messages
  std::optional<ResNetShape> shape;  ///< nothing for a network that is not known
  /// What it says of the network's ends, under its own keys; the tensors must agree.
  struct Count {
    std::string key;  ///< "num_channels"
    std::int64_t count = 0;
  };
  std::vector<Count> channels = {}, classes = {};
};

/// What `--arch` says.
struct ArchChoice {
  std::string name =
      "auto";           ///< "auto", "resnet" (any, read from the tensors), a known net's or embedded recipe's name
  ArchAnswers answers;  ///< behind the name
  bool ordered = true;  ///< whether the tensors stand in the network's order
  std::optional<ConfiguredNet> configured;  ///< what decides for "auto" without answers
  std::vector<RecipeText> recipes;          ///< embedded ones, for auto and by name
  std::vector<RecipeText> file;             ///< one entry when --arch names a file
  bool is_auto() const { return file.empty() && name == "auto" && answers.empty(); }
};

/// The recipe for these tensors: the given one, or the one that their names and shapes tell. Where a ResNet is
/// recognised or named, the tensors are renamed to the canonical names that its recipe uses (name_families.hpp).
/// @throws Error import_failed when nothing fits, invalid_argument for an unknown name
Recipe choose_recipe(const ArchChoice& choice, std::vector<SourceTensor>& tensors);

/// A recipe's weights and the tensors that they come from.
struct Mapping {
  struct Entry {
    WantedTensor wanted;
    const SourceTensor* source = nullptr;
    bool oihw = false;  ///< a convolution's weights, to be reordered
  };
  std::vector<Entry> entries;        ///< in layer order
  std::vector<std::string> ignored;  ///< keys that inference does not need (num_batches_tracked)
  std::int64_t trainable = 0;        ///< parameters
  std::int64_t running = 0;          ///< values of running means and variances
};

/// @throws Error import_failed that lists every missing key, every key that the recipe does not use, and every key of
/// another shape than the recipe expects
Mapping map_tensors(const Recipe& recipe, const TensorIndex& tensors);

}  // namespace resnet::convert
