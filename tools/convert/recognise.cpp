#include "convert/recognise.hpp"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "convert/importers/keras_applications.hpp"
#include "convert/infer_structure.hpp"
#include "convert/known_nets.hpp"
#include "convert/name_families.hpp"
#include "convert/recognise_resnet.hpp"
#include "convert/resnet_head.hpp"
#include "convert/resnet_layers.hpp"

namespace resnet::convert {
namespace {

/// All names of any real network; of a hostile one as many, and how many more there are.
std::string joined(const std::vector<std::string>& names) {
  constexpr std::size_t most_letters = 200'000, longest = 400;
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (text.size() > most_letters) return text + " and " + std::to_string(names.size() - i) + " more";
    text += (i == 0 ? "" : ", ") + names[i].substr(0, longest) + (names[i].size() > longest ? "..." : "");
  }
  return text;
}

/// Edits (insert, delete, replace a letter) that turn one name into the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

/// Finds the surplus name that is nearest to a missing one. Its work is bounded over all calls: with very many names
/// another network was meant.
class Nearest {
 public:
  explicit Nearest(const std::vector<const SourceTensor*>& surplus) : surplus_(surplus) {}

  /// " (nearest: NAME)", where one is near.
  std::string text(const std::string& missing) {
    std::string_view nearest;
    std::size_t best = missing.size() / 3 + 1;
    for (const SourceTensor* tensor : surplus_) {
      const std::size_t longer = std::max(missing.size(), tensor->key.size());
      if (longer - std::min(missing.size(), tensor->key.size()) >= best) continue;  // as many edits at least
      const std::size_t work = missing.size() * tensor->key.size();
      if (work > work_left_) break;
      work_left_ -= work;
      const std::size_t edits = distance(missing, tensor->key);
      if (edits >= best) continue;
      best = edits;
      nearest = tensor->key;
    }
    return nearest.empty() ? "" : " (nearest: " + std::string(nearest) + ')';
  }

 private:
  const std::vector<const SourceTensor*>& surplus_;
  std::size_t work_left_ = 4'000'000;  ///< letters compared
};

/// True when recipe and tensors have exactly the same keys.
bool has_exactly(const Recipe& recipe, const TensorIndex& tensors) {
  const auto wanted = wanted_tensors(recipe);
  const auto used = static_cast<std::size_t>(std::count_if(tensors.all().begin(), tensors.all().end(),
                                                           [](const auto& t) { return !is_training_state(t.name); }));
  return used == wanted.size() && std::all_of(wanted.begin(), wanted.end(), [&](const WantedTensor& tensor) {
           return tensors.find(tensor.key) != nullptr;
         });
}

/// "fc 1000x512: 1000 classes"
std::string head_text(const TensorIndex& tensors, const ResNetShape& shape) {
  const SourceTensor* head = tensors.find("fc.weight", 2);
  if (head == nullptr) return {};
  return ", fc " + to_string(head->shape) + ": " + std::to_string(shape.classes) +
         (shape.classes == 1 ? " class" : " classes");
}

Recipe from_resnet(const ResNetShape& shape, const Naming& naming, std::string why) {
  Recipe recipe = resnet_recipe(shape);
  recipe.name = name_of(shape);
  if (recipe.name.empty()) {
    recipe.name = "resnet";
    recipe.note =
        "a ResNet like torchvision's and timm's, but of no net that has a name there: strides, pools and batch norm's "
        "epsilon (1e-5) are the usual ones, no tensor tells them; --verify X.npy Y.npy says whether they are right";
  }
  recipe.why = std::move(why);
  recipe.expected_parameters = expected_parameters(shape);
  if (shape.input_channels == 3) recipe.preset = "torchvision";
  if (!naming.family.empty() || !naming.prefix.empty()) {
    recipe.in_source = [naming](const std::string& key) { return naming.in_source(key); };
  }
  return recipe;
}

/// Normalisation without running statistics is GroupNorm or the like: one clear answer instead of a list of keys.
void check_statistics(const std::vector<SourceTensor>& tensors) {
  const bool any =
      std::any_of(tensors.begin(), tensors.end(), [](const auto& t) { return t.name.ends_with("running_mean"); });
  const bool norms =
      std::any_of(tensors.begin(), tensors.end(), [](const auto& t) { return t.name.starts_with("layer1.0.bn1."); });
  if (any || !norms) return;
  fail(ErrorCode::import_failed,
       "the normalisation layers have no running statistics: GroupNorm (as in resnet50_gn and BiT) or another norm", "",
       "only batch norm is supported: convert a network that was trained with it");
}

/// Shortcuts that subsample and append zero channels ("option A" of the ResNet paper's CIFAR nets) have no tensors.
void check_shortcuts(const std::vector<SourceTensor>& tensors, const ResNetShape& shape) {
  const bool any = std::any_of(tensors.begin(), tensors.end(),
                               [](const auto& t) { return t.name.find(".downsample.") != std::string::npos; });
  const auto blocks = [](const auto& stage) { return stage.front().projection > 0; };
  const bool wanted = std::any_of(shape.stages.begin(), shape.stages.end(), blocks);
  if (any || !wanted || shape.stages.size() < 3) return;
  fail(ErrorCode::import_failed,
       "the shortcuts have no weights where the width changes: they are padded with zero channels, which is not "
       "supported",
       "", "convert a network whose shortcuts are 1x1 convolutions");
}

struct Found {
  ResNetShape shape;
  Naming naming;
  std::vector<SourceTensor> tensors;
  ArchAnswers answered;  ///< by the user and by the family of names
  HeadProblem head;
};

/// kuangliu's pre-activation nets call the norm behind the last block "bn", which other nets have in the stem.
void name_final_norm(std::vector<SourceTensor>& tensors) {
  const TensorIndex index(tensors);
  const SourceTensor *stem = index.find("conv1.weight", 4), *norm = index.find("bn1.weight", 1);
  const SourceTensor* head = index.find("fc.weight", 2);
  if (stem == nullptr || norm == nullptr || head == nullptr || index.find("norm.weight") != nullptr) return;
  if (norm->shape[0] == stem->shape[0] || norm->shape[0] != head->shape[1]) return;
  for (SourceTensor& tensor : tensors) {
    if (tensor.name.starts_with("bn1.")) tensor.name.replace(0, 3, "norm");
  }
}

/// What the code behind a family of names decides although no tensor shows it.
void apply_family(const Naming& naming, ResNetShape& shape, ArchAnswers& answered) {
  const bool own = naming.family.empty(), hugging_face = naming.family == hugging_face_family;
  if (naming.first_senet) {
    const BlockShape& block = shape.stages.front().front();
    shape.stem_pool = StemPool::max_ceil;
    shape.stride_in_1x1 = shape.bottleneck && block.groups == 1 && block.width1 == block.width2;
    shape.relu_before_attention = !shape.bottleneck;
    answered.stride_in_1x1 = shape.stride_in_1x1;
    answered.stride_in_first_stage = false;
  }
  if (naming.first_senet || hugging_face) {
    answered.anti_alias = AntiAlias::none;
    answered.stem = StemAnswer::imagenet;
  }
  if (!shape.projects_equal_width()) return;
  // torchvision, timm, the first SENets and transformers project only where the block strides or widens; timm's v2
  // bottlenecks project in every stage.
  const bool always = naming.family == timm_v2_family && shape.bottleneck;
  if (!always && (shape.preactivation || (!own && !naming.first_senet && !hugging_face))) return;
  shape.stride_in_first_stage = !always;
  answered.stride_in_first_stage = shape.stride_in_first_stage;
}

/// Renames a copy of the tensors and reads a ResNet from them, with the answers applied.
std::optional<Found> find_resnet(const ArchAnswers& answers, const std::vector<SourceTensor>& tensors) {
  Found found;
  found.tensors = tensors;
  found.naming = name_canonically(found.tensors);
  check_statistics(found.tensors);
  name_final_norm(found.tensors);
  auto shape = read_resnet(TensorIndex(found.tensors));
  if (!shape) return std::nullopt;
  check_shortcuts(found.tensors, *shape);
  apply_family(found.naming, *shape, found.answered);
  apply(answers, *shape);
  found.shape = *std::move(shape);
  const std::string_view net = name_of(found.shape);
  found.head = read_head(answers.relu_head, net.empty() ? "resnet" : std::string(net), found.tensors, found.shape);
  add_answers(answers, found.answered);
  return found;
}

Recipe recipe_of(const Found& found) {
  std::string names = found.naming.family.empty() ? "" : found.naming.family + " names, ";
  if (!found.naming.prefix.empty()) names += "behind \"" + found.naming.prefix + "\", ";
  Recipe recipe = from_resnet(found.shape, found.naming,
                              names + describe(found.shape) + head_text(TensorIndex(found.tensors), found.shape));
  recipe.assumed = assumed_text(found.answered, found.shape, recipe.name);
  return recipe;
}

/// Where a dense layer has no bias, the file lacks its key and nothing else.
Recipe recipe_without_bias(Found& found, Recipe recipe) {
  const TensorIndex index(found.tensors);
  if (index.find("fc.bias") != nullptr || index.find("fc.weight", 2) == nullptr || !found.shape.hidden.empty()) {
    return recipe;
  }
  found.shape.head_bias = false;
  Recipe other = recipe_of(found);
  if (has_exactly(other, index)) return other;
  found.shape.head_bias = true;
  return recipe;
}

[[noreturn]] void fail_with(const HeadProblem& problem) {
  fail(ErrorCode::import_failed, problem.message, "", problem.next);
}

/// "conv1.weight, bn1.weight ..."
std::string first_keys(const std::vector<SourceTensor>& tensors) {
  constexpr std::size_t most = 5, longest = 200;
  std::string keys;
  std::size_t shown = 0;
  for (const SourceTensor& tensor : tensors) {
    if (is_training_state(tensor.name) && tensors.size() > most) continue;
    if (shown == most) break;
    keys += (shown++ == 0 ? "" : ", ") + tensor.name.substr(0, longest);
  }
  return keys + (tensors.size() > shown ? " ..." : "");
}

/// Unknown names are taken only when nothing is left to guess.
Recipe from_structure(const ArchAnswers& answers, Inferred& inferred, std::vector<SourceTensor>& tensors) {
  if (answers.average_down && *answers.average_down) {  // the names of a shortcut whose first part is a pool
    for (SourceTensor& tensor : inferred.tensors) {
      const std::size_t at = tensor.name.find(".downsample.");
      if (at != std::string::npos) ++tensor.name[at + std::string_view(".downsample.").size()];
    }
  }
  auto shape = read_resnet(TensorIndex(inferred.tensors));
  if (!shape) {
    fail(ErrorCode::import_failed, "by order and shapes the tensors are a network that is too large", "",
         "describe the layers in a recipe (docs/convert.md)");
  }
  if (const std::string questions = open_questions(answers, *shape); !questions.empty()) {
    fail(ErrorCode::import_failed, inferred.why + ", but " + questions, "", "answer with that option");
  }
  apply(answers, *shape);
  Recipe recipe = from_resnet(*shape, Naming(), inferred.why + ": " + describe(*shape));
  const std::string assumed = assumed_text(answers, *shape, recipe.name);
  recipe.assumed = "strides of 2 where the later stages begin" + (assumed.empty() ? "" : ", " + assumed);
  tensors = std::move(inferred.tensors);
  return recipe;
}

Recipe recognise(const ArchChoice& choice, std::vector<SourceTensor>& tensors) {
  auto found = find_resnet(choice.answers, tensors);
  std::optional<Recipe> resnet;
  if (found) resnet = recipe_without_bias(*found, recipe_of(*found));
  const auto take = [&] {
    if (!found->head.message.empty()) fail_with(found->head);
    if (const std::string question = first_stride_question(found->answered, found->shape); !question.empty()) {
      fail(ErrorCode::import_failed, describe(found->shape) + ", but " + question, "", "answer with that option");
    }
    tensors = std::move(found->tensors);
    return *std::move(resnet);
  };
  if (resnet && has_exactly(*resnet, TensorIndex(found->tensors))) return take();
  for (const RecipeText& text : choice.recipes) {
    Recipe recipe = parse_recipe(text.json, text.name);
    if (!has_exactly(recipe, TensorIndex(tensors))) continue;
    recipe.why = "all keys are those of the recipe " + text.name;
    return recipe;
  }
  // Half of a ResNet's names: keys are missing or left over, and the mapping lists them.
  if (resnet && 2 * found->naming.canonical >= tensors.size()) return take();
  if (!choice.ordered) {
    if (resnet) return take();
    fail(ErrorCode::import_failed,
         "no known architecture has these tensors (" + std::to_string(tensors.size()) + ": " + first_keys(tensors) +
             "), and their order, which could tell with unknown names, is lost: safetensors sorts its tensors, and an "
             "index of several files has no order",
         "",
         "save the state dict with torch.save and convert that, name the keys as torchvision does with --map, or "
         "describe the layers in a recipe (docs/convert.md)");
  }
  std::string why_not;
  std::optional<bool> deep_stem;
  if (choice.answers.stem) deep_stem = *choice.answers.stem == StemAnswer::deep;
  if (auto inferred = infer_structure(tensors, deep_stem, why_not))
    return from_structure(choice.answers, *inferred, tensors);
  if (resnet) return take();
  fail(ErrorCode::import_failed,
       "no known architecture has these tensors (" + std::to_string(tensors.size()) + ": " + first_keys(tensors) +
           "), and by order and shapes: " + why_not,
       "", "name one with --arch, rename keys with --map, or describe the layers in a recipe (docs/convert.md)");
}

/// Pruning changed the widths of a net and nothing else.
void take_widths(const ResNetShape& found, ResNetShape& shape) {
  const auto same_count = [](const auto& a, const auto& b) { return a.size() == b.size(); };
  if (!same_count(shape.stem, found.stem) ||
      !std::equal(shape.stages.begin(), shape.stages.end(), found.stages.begin(), found.stages.end(), same_count)) {
    return;
  }
  shape.stem = found.stem;
  shape.stages = found.stages;
}

Recipe with_pruned_name(Recipe recipe, const std::string& name) {
  if (!is_pruned(name)) return recipe;
  recipe.name = name;
  recipe.note.clear();
  return recipe;
}

/// The shape that a known name implies, for the channels and classes that the tensors have.
Recipe named_resnet(const KnownNet& net, const ArchChoice& choice, std::vector<SourceTensor>& tensors,
                    const std::string& why) {
  const ArchAnswers& answers = choice.answers;
  const Naming naming = name_canonically(tensors);
  ResNetShape shape = net.shape, ends = net.shape;
  read_ends(TensorIndex(tensors), ends);
  if (ends.input_channels >= 1 && ends.input_channels <= max_channels) shape.input_channels = ends.input_channels;
  if (ends.classes >= 1 && ends.classes <= max_classes) shape.classes = ends.classes;
  if (is_pruned(choice.name)) {
    if (const auto found = read_resnet(TensorIndex(tensors))) take_widths(*found, shape);
  }
  apply(answers, shape);
  if (const HeadProblem problem = read_head(answers.relu_head, choice.name, tensors, shape); !problem.message.empty()) {
    fail_with(problem);
  }
  return with_pruned_name(from_resnet(shape, naming, why + ": " + describe(shape)), choice.name);
}

/// Where a configuration's words about input channels and classes differ from the tensors, or nothing.
std::string difference_of_ends(const ConfiguredNet& net, const Found& found) {
  ResNetShape ends = found.shape;
  ends.input_channels = ends.classes = 0;
  read_ends(TensorIndex(found.tensors), ends);
  const auto differing = [](const std::vector<ConfiguredNet::Count>& said, std::int64_t count, const char* what) {
    for (const auto& [key, value] : said) {
      if (count == 0 || value == count) continue;
      return "its " + key + " says " + std::to_string(value) + what + ", the tensors have " + std::to_string(count);
    }
    return std::string();
  };
  const std::string channels = differing(net.channels, ends.input_channels, " input channels");
  return channels.empty() ? differing(net.classes, ends.classes, " classes") : channels;
}

/// The configuration says what shapes cannot, and must not contradict them.
Recipe configured_resnet(const ConfiguredNet& net, std::vector<SourceTensor>& tensors) {
  auto found = find_resnet({}, tensors);
  const std::string seen = found ? "the tensors are those of " + describe(found->shape) : "the tensors are no ResNet's";
  if (!net.shape) {
    fail(ErrorCode::import_failed, "names \"" + net.name + "\", which is no ResNet that is known; " + seen, net.where,
         found ? "where that is right, convert with --arch resnet" : "convert a ResNet");
  }
  ResNetShape shape = *net.shape;
  if (found) {
    if (is_pruned(net.name)) take_widths(found->shape, shape);
    std::string why = difference(shape, found->shape);
    if (why.empty()) why = difference_of_ends(net, *found);
    if (!why.empty()) {
      fail(ErrorCode::import_failed,
           "belongs to another network: " + net.name + " is " + describe(shape) + ", but " + why + " (" +
               describe(found->shape) + ')',
           net.where, "take the config.json of these weights, or go by the tensors with --arch resnet");
    }
    if (!found->head.message.empty()) fail_with(found->head);
    shape.input_channels = found->shape.input_channels;
    shape.classes = found->shape.classes;
    tensors = std::move(found->tensors);
  }
  const Naming naming = found ? std::move(found->naming) : Naming();
  const std::string why =
      "config.json says " + net.name + ", " + describe(shape) + head_text(TensorIndex(tensors), shape);
  return with_pruned_name(from_resnet(shape, naming, why), net.name);
}

[[noreturn]] void unknown_arch(const ArchChoice& choice) {
  std::string names;
  for (const KnownNet& net : known_nets()) names += ", " + std::string(net.name);
  for (const RecipeText& recipe : choice.recipes) names += ", " + recipe.name;
  for (const std::string_view name : keras_application_names()) names += ", " + std::string(name);
  fail(ErrorCode::invalid_argument, "unknown architecture \"" + choice.name + '"', "--arch",
       "use auto, resnet" + names + ", or the path of a recipe that ends in .json");
}

}  // namespace

Recipe choose_recipe(const ArchChoice& choice, std::vector<SourceTensor>& tensors) {
  if (!choice.file.empty()) {
    Recipe recipe = parse_recipe(choice.file.front().json, choice.file.front().name);
    recipe.why = "--arch names this recipe";
    return recipe;
  }
  if (choice.is_auto() && choice.configured) return configured_resnet(*choice.configured, tensors);
  if (choice.name == "auto" || choice.name == "resnet") return recognise(choice, tensors);
  const std::string why = "--arch says so";
  if (const std::string_view reason = refusal_of(choice.name); !reason.empty()) {
    fail(ErrorCode::invalid_argument,
         choice.name + " cannot be converted: there is no support for " + std::string(reason), "--arch",
         "convert a network that was trained with batch norm");
  }
  if (const KnownNet* net = find_known_net(choice.name)) return named_resnet(*net, choice, tensors, why);
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
  std::vector<const SourceTensor*> surplus;
  std::unordered_set<std::string_view> used;
  for (WantedTensor& wanted : wanted_tensors(recipe)) {
    const SourceTensor* source = tensors.find(wanted.key);
    if (source == nullptr) {
      missing.push_back(recipe.in_source ? recipe.in_source(wanted.key) : wanted.key);
      continue;
    }
    used.insert(source->name);
    const auto expected = recipe.expected.find(wanted.key);
    if (expected != recipe.expected.end() && expected->second != source->shape) {
      shapes.push_back(source->key + " is " + to_string(source->shape) + ", expected " + to_string(expected->second));
    }
    const std::int64_t count = element_count(source->shape, wanted.key);
    std::int64_t& sum = wanted.role == "mean" || wanted.role == "var" ? mapping.running : mapping.trainable;
    sum = checked_add(sum, count, wanted.key);
    const bool oihw = wanted.op == "conv2d" && wanted.role == "weight";
    if (oihw && source->shape.size() != 4) {
      shapes.push_back(source->key + " is " + to_string(source->shape) + ", a convolution's weights have 4 dimensions");
    }
    mapping.entries.push_back({std::move(wanted), source, oihw});
  }
  for (const SourceTensor& tensor : tensors.all()) {
    if (used.contains(tensor.name)) continue;
    if (is_training_state(tensor.name)) {
      mapping.ignored.push_back(tensor.key);
    } else {
      surplus.push_back(&tensor);
      unused.push_back(tensor.key + " (" + to_string(tensor.shape) + ')');
    }
  }
  Nearest nearest(surplus);
  constexpr std::size_t most_missing = 500;  // with more, another network was meant
  if (missing.size() <= most_missing) {
    for (std::string& name : missing) name += nearest.text(name);
  }
  std::string problems;
  const auto list = [&](const std::vector<std::string>& names, const char* one, const char* several) {
    if (names.empty()) return;
    problems += (problems.empty() ? "" : "; ") + std::to_string(names.size()) + (names.size() == 1 ? one : several) +
                ": " + joined(names);
  };
  list(missing, " key is missing", " keys are missing");
  list(unused, " key has no place in it", " keys have no place in it");
  list(shapes, " key has another shape", " keys have another shape");
  if (!problems.empty()) {
    fail(ErrorCode::import_failed, "the tensors do not fit " + recipe.name + " (" + recipe.why + "): " + problems,
         "key mapping", "choose another --arch, or rename or drop keys with --map");
  }
  return mapping;
}

}  // namespace resnet::convert
