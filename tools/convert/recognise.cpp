#include "convert/recognise.hpp"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "convert/torchvision.hpp"

namespace resnet::convert {
namespace {

/// Training state that no layer reads.
bool is_training_state(std::string_view key) { return key.ends_with("num_batches_tracked"); }

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += "\n  " + name;
  return text;
}

/// True when recipe and tensors have exactly the same keys.
bool has_exactly(const Recipe& recipe, const TensorIndex& tensors) {
  const auto wanted = wanted_tensors(recipe);
  const auto used = static_cast<std::size_t>(std::count_if(tensors.all().begin(), tensors.all().end(),
                                                           [](const auto& t) { return !is_training_state(t.name); }));
  return used == wanted.size() && std::all_of(wanted.begin(), wanted.end(), [&](const WantedTensor& tensor) {
           return tensors.find(tensor.key) != nullptr;
         });
}

Recipe from_resnet(const ResNetShape& shape, std::string why) {
  Recipe recipe = resnet_recipe(shape);
  if (recipe.name == "resnet") recipe.note = "built like torchvision's ResNets, but none of its ten";
  recipe.why = std::move(why);
  return recipe;
}

Recipe recognise(const ArchChoice& choice, const TensorIndex& tensors) {
  std::string why;
  std::optional<Recipe> resnet;
  if (const auto shape = recognise_resnet(tensors, why)) resnet = from_resnet(*shape, std::move(why));
  if (resnet && has_exactly(*resnet, tensors)) return *std::move(resnet);
  for (const RecipeText& text : choice.recipes) {
    Recipe recipe = parse_recipe(text.json, text.name);
    if (!has_exactly(recipe, tensors)) continue;
    recipe.why = "all keys are those of the recipe " + text.name;
    return recipe;
  }
  if (resnet) return *std::move(resnet);  // keys are missing or left over: the mapping lists them
  std::string keys;
  const std::size_t shown = std::min<std::size_t>(tensors.all().size(), 5);
  for (const SourceTensor& tensor : tensors.all().first(shown)) keys += (keys.empty() ? "" : ", ") + tensor.name;
  fail(ErrorCode::import_failed,
       "no known architecture has these " + std::to_string(tensors.all().size()) + " tensors (" + keys + " ...)",
       "--arch auto",
       "name one with --arch, rename keys with --map, or describe the layers in a recipe (docs/convert.md)");
}

[[noreturn]] void unknown_arch(const ArchChoice& choice) {
  std::string names;
  for (const TorchvisionNet& net : torchvision_nets()) names += ", " + std::string(net.name);
  for (const RecipeText& recipe : choice.recipes) names += ", " + recipe.name;
  fail(ErrorCode::invalid_argument, "unknown architecture \"" + choice.name + '"', "--arch",
       "use auto" + names + ", or the path of a recipe that ends in .json");
}

}  // namespace

Recipe choose_recipe(const ArchChoice& choice, const TensorIndex& tensors) {
  if (!choice.file.empty()) {
    Recipe recipe = parse_recipe(choice.file.front().json, choice.file.front().name);
    recipe.why = "--arch names this recipe";
    return recipe;
  }
  if (choice.name == "auto") return recognise(choice, tensors);
  const std::string why = "--arch says so";
  if (const TorchvisionNet* net = find_torchvision_net(choice.name)) return from_resnet(adapt_to(*net, tensors), why);
  for (const RecipeText& text : choice.recipes) {
    if (text.name != choice.name) continue;
    Recipe recipe = parse_recipe(text.json, text.name);
    recipe.why = why;
    return recipe;
  }
  unknown_arch(choice);
}

Mapping map_tensors(const Recipe& recipe, const TensorIndex& tensors) {
  Mapping mapping;
  std::vector<std::string> missing, shapes, unused;
  std::unordered_set<std::string_view> used;
  for (WantedTensor& wanted : wanted_tensors(recipe)) {
    const SourceTensor* source = tensors.find(wanted.key);
    if (source == nullptr) {
      missing.push_back(wanted.key);
      continue;
    }
    used.insert(source->name);
    const auto expected = recipe.expected.find(wanted.key);
    if (expected != recipe.expected.end() && expected->second != source->shape) {
      shapes.push_back(wanted.key + " is " + to_string(source->shape) + ", expected " + to_string(expected->second));
    }
    const std::int64_t count = element_count(source->shape, wanted.key);
    std::int64_t& sum = wanted.role == "mean" || wanted.role == "var" ? mapping.running : mapping.trainable;
    sum = checked_add(sum, count, wanted.key);
    const bool oihw = wanted.op == "conv2d" && wanted.role == "weight";
    if (oihw && source->shape.size() != 4) {
      shapes.push_back(wanted.key + " is " + to_string(source->shape) + ", a convolution's weights have 4 dimensions");
    }
    mapping.entries.push_back({std::move(wanted), source, oihw});
  }
  for (const SourceTensor& tensor : tensors.all()) {
    if (used.contains(tensor.name)) continue;
    if (is_training_state(tensor.name)) {
      mapping.ignored.push_back(tensor.name);
    } else {
      unused.push_back(tensor.name + " (" + to_string(tensor.shape) + ')');
    }
  }
  std::string problems;
  const auto list = [&](const std::vector<std::string>& names, const std::string& what) {
    if (!names.empty())
      problems += (problems.empty() ? "" : "\n") + std::to_string(names.size()) + what + joined(names);
  };
  list(missing, " keys are missing:");
  list(unused, " keys have no place in it:");
  list(shapes, " keys have another shape:");
  if (!problems.empty()) {
    fail(ErrorCode::import_failed,
         "the tensors do not fit " + recipe.name + " (" + recipe.why + "):\n" + problems + "\n", "key mapping",
         "choose another --arch, or rename or drop keys with --map");
  }
  return mapping;
}

}  // namespace resnet::convert
