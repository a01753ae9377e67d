#include "convert/importers/keras_weights.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/check.hpp"

namespace resnet::convert {
namespace {

constexpr std::array<std::string_view, 2> list_names = {"layers", "_layer_checkpoint_dependencies"};
constexpr std::string_view variables = "/vars/";

std::string joined(const std::string& prefix, std::string_view name) {
  return prefix.empty() ? std::string(name) : prefix + '/' + std::string(name);
}

bool flag(const Json& config, std::string_view key, bool fallback) {
  const Json* value = config.find(key);
  return value != nullptr && value->is_bool() ? value->as_bool() : fallback;
}

std::vector<std::string> roles_of(const KerasLayer& layer) {
  std::vector<std::string> roles;
  const auto add_if = [&](bool wanted, const char* role) {
    if (wanted) roles.emplace_back(role);
  };
  const std::string& kind = layer.class_name;
  if (kind == "BatchNormalization" || kind == "BatchNormalizationV1") {
    add_if(flag(layer.config, "scale", true), "gamma");
    add_if(flag(layer.config, "center", true), "beta");
    add_if(true, "moving_mean");
    add_if(true, "moving_variance");
  } else if (kind == "Normalization") {
    const Json* mean = layer.config.find("mean");
    add_if(mean == nullptr || mean->is_null(), "mean");
    add_if(mean == nullptr || mean->is_null(), "variance");
  } else if (kind == "Conv2D" || kind == "Dense" || kind == "DepthwiseConv2D" || kind == "SeparableConv2D") {
    const bool separable = kind == "SeparableConv2D";
    add_if(true, separable || kind == "DepthwiseConv2D" ? "depthwise_kernel" : "kernel");
    add_if(separable, "pointwise_kernel");
    add_if(flag(layer.config, "use_bias", true), "bias");
  }
  return roles;
}

KerasNode node_of(const KerasModel& model, std::string name, const std::string& prefix) {
  KerasNode node;
  node.name = std::move(name);
  node.key = prefix;
  node.snake = keras_snake_case(model.class_name == "Model" ? "Functional" : model.class_name);
  for (const KerasLayer& layer : model.layers) {
    const std::string key = joined(prefix, layer.name);
    if (layer.model) {
      node.children.push_back(node_of(*layer.model, layer.name, key));
    } else {
      node.children.push_back({layer.name, key, keras_snake_case(layer.class_name), roles_of(layer), {}, false});
    }
    node.children.back().trainable = flag(layer.config, "trainable", true);
  }
  return node;
}

/// State that only training needs.
bool is_training_state(std::string_view name) {
  return name.starts_with("optimizer/") || name.find("seed_generator") != name.npos || name.ends_with("/count") ||
         name.find("_metrics/") != name.npos || name.starts_with("metrics/");
}

void drop_training_state(std::vector<SourceTensor>& tensors, std::vector<std::string>& notes) {
  const std::size_t before = tensors.size();
  std::erase_if(tensors, [](const SourceTensor& tensor) { return is_training_state(tensor.name); });
  if (tensors.size() < before) {
    notes.push_back("skipped " + std::to_string(before - tensors.size()) +
                    " tensors of optimizer, metrics, counters and random generators");
  }
}

/// Gives the tensor its name and shows it in our order of axes.
void present(SourceTensor& tensor, const std::string& key, std::string_view role) {
  tensor.name = key + '/' + std::string(role);
  auto& shape = tensor.shape;
  auto& strides = tensor.strides;
  if (role == "depthwise_kernel" && shape.size() == 4) {  // (height, width, in, multiplier)
    shape = {shape[2] * shape[3], 1, shape[0], shape[1]};
    strides = {1, 1, strides[0], strides[1]};
  } else if ((role == "kernel" || role == "pointwise_kernel") && shape.size() == 4) {  // (height, width, in, out)
    shape = {shape[3], shape[2], shape[0], shape[1]};
    strides = {strides[3], strides[2], strides[0], strides[1]};
  } else if (role == "kernel" && shape.size() == 2) {  // (in, out)
    std::swap(shape[0], shape[1]);
    std::swap(strides[0], strides[1]);
  } else if ((role == "mean" || role == "variance") && shape.size() > 1 &&
             std::all_of(shape.begin(), shape.end() - 1, [](std::int64_t size) { return size == 1; })) {
    shape = {shape.back()};
    strides = {1};
  }
}

/// A counted name: "conv2d_12" of the class conv2d is number 12, "conv2d" is number 0.
std::optional<std::int64_t> number_of(std::string_view name, std::string_view snake) {
  if (!name.starts_with(snake)) return std::nullopt;
  name.remove_prefix(snake.size());
  if (name.empty()) return 0;
  if (name.front() != '_' || name.size() < 2) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number < 0) return std::nullopt;
  return number;
}

/// The groups of a file in the counted layout.
class CountedLayout {
  using Names = std::vector<std::pair<SourceTensor*, std::pair<std::string, std::string>>>;  ///< tensor -> key, role

 public:
  explicit CountedLayout(std::vector<SourceTensor>& tensors) {
    for (SourceTensor& tensor : tensors) {
      const std::size_t at = tensor.name.rfind(variables);
      std::size_t index = 0;
      if (at == std::string::npos) continue;
      const char* end = tensor.name.data() + tensor.name.size();
      const auto [rest, error] = std::from_chars(tensor.name.data() + at + variables.size(), end, index);
      if (error != std::errc() || rest != end) continue;
      const std::string group = tensor.name.substr(0, at);
      layers_[group][index] = &tensor;
      // Every "<prefix>/layers" on the way down is a model's list.
      for (std::size_t begin = 0; begin < group.size();) {
        const std::size_t slash = std::min(group.find('/', begin), group.size());
        const std::string_view part = std::string_view(group).substr(begin, slash - begin);
        if (std::find(list_names.begin(), list_names.end(), part) != list_names.end() && slash < group.size()) {
          const std::size_t child_end = std::min(group.find('/', slash + 1), group.size());
          lists_[group.substr(0, slash)].insert(group.substr(slash + 1, child_end - slash - 1));
        }
        begin = slash + 1;
      }
    }
  }

  /// Where the model's layers lie: the shortest list that has them all.
  void assign(const KerasNode& model, const std::string& where) {
    std::string first_problem;
    std::vector<std::string> lists;
    for (const auto& [list, children] : lists_) lists.push_back(list);
    std::stable_sort(lists.begin(), lists.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
    for (const std::string& list : lists) {
      Names names;
      std::string problem = match(model, list, names);
      if (problem.empty()) {
        for (const auto& [tensor, name] : names) present(*tensor, name.first, name.second);
        return;
      }
      if (first_problem.empty()) first_problem = std::move(problem);
    }
    fail(ErrorCode::import_failed,
         first_problem.empty() ? "has no group \"layers\", so Keras did not write it" : first_problem, where,
         "take the architecture that the weights were saved from");
  }

 private:
  /// Empty, or what differs. Models are nested at most 8 deep.
  std::string match(const KerasNode& model, const std::string& list, Names& names) const {
    const auto found = lists_.find(list);
    std::map<std::string_view, std::vector<const KerasNode*>> wanted;
    for (const KerasNode& child : model.children) {
      if (child.has_weights()) wanted[child.snake].push_back(&child);
    }
    for (const auto& [snake, nodes] : wanted) {
      // In order of their numbers, whatever the numbers are: some versions of Keras count every layer twice.
      std::map<std::int64_t, std::string> groups;
      if (found != lists_.end()) {
        for (const std::string& child : found->second) {
          const auto number = number_of(child, snake);
          const std::string path = list + '/' + child;
          const bool holds = nodes[0]->children.empty() ? layers_.contains(path) : !list_of(path).empty();
          if (number && holds) groups.emplace(*number, path);
        }
      }
      if (groups.size() != nodes.size()) {
        return "holds " + std::to_string(groups.size()) + " layers of the class " + std::string(snake) + " under \"" +
               list + "\", the architecture has " + std::to_string(nodes.size());
      }
      auto node = nodes.begin();
      for (const auto& [number, path] : groups) {
        const std::string problem =
            (*node)->children.empty() ? match_layer(**node, path, names) : match(**node, list_of(path), names);
        if (!problem.empty()) return problem;
        ++node;
      }
    }
    return {};
  }

  std::string match_layer(const KerasNode& layer, const std::string& path, Names& names) const {
    const auto& variables_of = layers_.at(path);
    if (variables_of.size() < layer.roles.size() || variables_of.rbegin()->first + 1 != variables_of.size()) {
      return "\"" + path + "\" holds " + std::to_string(variables_of.size()) + " variables, layer \"" + layer.key +
             "\" has " + std::to_string(layer.roles.size());
    }
    for (std::size_t i = 0; i < layer.roles.size(); ++i)
      names.push_back({variables_of.at(i), {layer.key, layer.roles[i]}});
    return {};
  }

  std::string list_of(const std::string& path) const {
    for (const std::string_view name : list_names) {
      const std::string list = path + '/' + std::string(name);
      if (lists_.contains(list)) return list;
    }
    return {};
  }

  std::map<std::string, std::map<std::size_t, SourceTensor*>> layers_;  ///< group -> its variables
  std::map<std::string, std::set<std::string>> lists_;                  ///< a model's list -> its members
};

/// Whether the parts of `key` but the last stand in `path`, in order.
bool passes_through(std::string_view key, std::string_view path) {
  std::size_t at = 0;
  for (std::size_t begin = 0, slash = 0; (slash = key.find('/', begin)) != key.npos; begin = slash + 1) {
    const std::string_view part = key.substr(begin, slash - begin);
    for (bool found = false; !found;) {
      if (at > path.size()) return false;
      const std::size_t end = std::min(path.find('/', at), path.size());
      found = path.substr(at, end - at) == part;
      at = end + 1;
    }
  }
  return true;
}

/// The layer whose name ends the path, preferring the longest name and then the model that the path passes through.
const KerasNode* find_layer(const std::multimap<std::string, const KerasNode*, std::less<>>& by_name,
                            std::string_view path) {
  for (std::size_t begin = 0;; begin = path.find('/', begin) + 1) {
    const auto [first, last] = by_name.equal_range(path.substr(begin));
    if (first != last) {
      const auto through =
          std::find_if(first, last, [&](const auto& entry) { return passes_through(entry.second->key, path); });
      return through != last ? through->second : std::next(first) == last ? first->second : nullptr;
    }
    if (path.find('/', begin) == path.npos) return nullptr;
  }
}

/// "conv1/conv1" of the tensor "conv1/conv1/kernel".
std::string path_of(const SourceTensor& tensor) {
  const std::size_t slash = tensor.name.rfind('/');
  return slash == std::string::npos ? std::string() : tensor.name.substr(0, slash);
}

/// A layer without a name of its own is called by its class and a number that depends on what the process had made
/// before: "dense" may be "dense_3". The only one of its class that is left over is it.
void match_by_class(const KerasNode& layer, std::map<std::string, const KerasNode*>& layer_of) {
  if (!number_of(layer.name, layer.snake)) return;
  const KerasNode** match = nullptr;
  for (auto& [path, taken] : layer_of) {
    const std::size_t slash = path.rfind('/');
    const std::string_view own = std::string_view(path).substr(slash == std::string::npos ? 0 : slash + 1);
    if (taken != nullptr || !number_of(own, layer.snake)) continue;
    if (match != nullptr) return;
    match = &taken;
  }
  if (match != nullptr) *match = &layer;
}

/// The layers with weights, of nested models too, in order.
void collect_leaves(const KerasNode& node, std::vector<const KerasNode*>& leaves) {
  if (!node.roles.empty()) leaves.push_back(&node);
  for (const KerasNode& child : node.children) collect_leaves(child, leaves);
}

bool is_trainable(std::string_view role) {
  return !role.starts_with("moving_") && role != "mean" && role != "variance";
}

using OrderedWeights = std::vector<std::pair<const KerasNode*, std::string>>;  ///< layer, role

/// Keras' trainable_weights or non_trainable_weights of a layer or model; all of a frozen one are of the second kind.
void collect_weights(const KerasNode& node, bool trainable, bool frozen, OrderedWeights& weights) {
  frozen = frozen || !node.trainable;
  for (const std::string& role : node.roles) {
    if ((is_trainable(role) && !frozen) == trainable) weights.emplace_back(&node, role);
  }
  for (const KerasNode& child : node.children) collect_weights(child, trainable, frozen, weights);
}

/// Keras itself loads the older layout by order, whatever the names: layer after layer, a nested model's trainable
/// weights before its others. @return false when the numbers of weights differ
bool name_by_order(const KerasNode& model, std::vector<SourceTensor>& tensors, const std::string& where) {
  OrderedWeights wanted;
  for (const KerasNode& child : model.children) {
    for (const bool trainable : {true, false}) collect_weights(child, trainable, false, wanted);
  }
  if (wanted.size() != tensors.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto& [layer, role] = wanted[i];
    const std::string own = tensors[i].name.substr(tensors[i].name.rfind('/') + 1);
    if (own == role || (own == "kernel" && role == "depthwise_kernel")) continue;
    fail(ErrorCode::import_failed,
         "weight " + std::to_string(i) + " of the file is \"" + tensors[i].name + "\", the architecture has " + role +
             " of layer \"" + layer->key + "\" there",
         where, "take the architecture that the weights were saved from");
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) present(tensors[i], wanted[i].first->key, wanted[i].second);
  return true;
}

}  // namespace

bool KerasNode::has_weights() const {
  return !roles.empty() ||
         std::any_of(children.begin(), children.end(), [](const KerasNode& child) { return child.has_weights(); });
}

KerasNode keras_node(const KerasModel& model) {
  KerasNode node = node_of(model, model.name, "");
  node.ordered = true;
  return node;
}

KerasNode keras_node(const Recipe& recipe) {
  KerasNode node;
  node.name = recipe.name;
  for (const LayerSpec& layer : recipe.layers) {
    KerasNode leaf;
    for (const WeightSpec& spec :
         find_op(layer.op) == nullptr ? std::span<const WeightSpec>() : find_op(layer.op)->weights) {
      const auto weight = layer.weights.find(spec.role);
      if (weight == layer.weights.end()) continue;
      const std::size_t slash = weight->second.rfind('/');
      if (slash == std::string::npos) continue;
      leaf.key = weight->second.substr(0, slash);
      leaf.roles.push_back(weight->second.substr(slash + 1));
    }
    if (leaf.roles.empty()) continue;
    leaf.name = leaf.key.substr(leaf.key.rfind('/') + 1);
    leaf.snake = layer.op == "batch_norm"                   ? "batch_normalization"
                 : leaf.roles.front() == "depthwise_kernel" ? "depthwise_conv2d"
                                                            : layer.op;
    node.children.push_back(std::move(leaf));
  }
  return node;
}

bool is_counted_layout(const std::vector<SourceTensor>& tensors) {
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const SourceTensor& tensor) { return tensor.name.find(variables) != std::string::npos; });
}

void name_keras_tensors(const KerasNode& model, std::vector<SourceTensor>& tensors, std::vector<std::string>& notes,
                        const std::string& where) {
  drop_training_state(tensors, notes);
  if (is_counted_layout(tensors)) {
    CountedLayout(tensors).assign(model, where);
    std::erase_if(tensors, [](const SourceTensor& tensor) {  // the counter of a Normalization layer
      const bool integer = tensor.type == SourceType::i32 || tensor.type == SourceType::i64;
      return integer && tensor.name.find(variables) != std::string::npos;
    });
    return;
  }
  std::multimap<std::string, const KerasNode*, std::less<>> by_name;
  std::vector<const KerasNode*> leaves;
  collect_leaves(model, leaves);
  for (const KerasNode* leaf : leaves) by_name.emplace(leaf->name, leaf);
  std::map<std::string, const KerasNode*> layer_of;  // path of a layer in the file -> layer
  std::set<const KerasNode*> found;
  for (const SourceTensor& tensor : tensors) {
    const auto [entry, added] = layer_of.emplace(path_of(tensor), nullptr);
    if (added) entry->second = find_layer(by_name, entry->first);
    if (entry->second != nullptr) found.insert(entry->second);
  }
  if (!model.ordered) {
    for (const auto& [name, layer] : by_name) {
      if (!found.contains(layer)) match_by_class(*layer, layer_of);
    }
  } else if (found.size() < by_name.size() && name_by_order(model, tensors, where)) {
    return;
  }
  for (SourceTensor& tensor : tensors) {
    const std::string path = path_of(tensor);
    const KerasNode* layer = layer_of.at(path);
    if (layer == nullptr) continue;
    std::string role = tensor.name.substr(path.empty() ? 0 : path.size() + 1);
    if (role == "kernel" && layer->roles.front() == "depthwise_kernel") role = "depthwise_kernel";
    present(tensor, layer->key, role);
  }
}

bool fits_keras_layers(const KerasNode& model, std::vector<SourceTensor> tensors) {
  if (!model.has_weights()) return false;
  std::vector<std::string> notes;
  try {
    name_keras_tensors(model, tensors, notes, "");
  } catch (const Error&) {
    return false;
  }
  std::set<std::string_view> names;
  for (const SourceTensor& tensor : tensors) names.insert(tensor.name);
  std::vector<const KerasNode*> leaves;
  collect_leaves(model, leaves);
  return std::all_of(leaves.begin(), leaves.end(), [&](const KerasNode* leaf) {
    return std::all_of(leaf->roles.begin(), leaf->roles.end(),
                       [&](const std::string& role) { return names.contains(leaf->key + '/' + role); });
  });
}

void name_keras_tensors(std::vector<SourceTensor>& tensors, std::vector<std::string>& notes) {
  drop_training_state(tensors, notes);
  for (SourceTensor& tensor : tensors) {
    const std::size_t slash = tensor.name.rfind('/');
    if (slash == std::string::npos) continue;
    const std::size_t before = slash == 0 ? std::string::npos : tensor.name.rfind('/', slash - 1);
    const std::string layer = tensor.name.substr(before + 1, slash - before - 1);
    present(tensor, layer, tensor.name.substr(slash + 1));
  }
}

}  // namespace resnet::convert
