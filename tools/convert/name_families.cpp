#include "convert/name_families.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "convert/recognise_resnet.hpp"

namespace resnet::convert {
namespace {

// Rules are those of --map, in short: (a|b) stands for one line per choice, and a line with <n> for one per stage,
// where <n>, <n+1>, <n+2> are its numbers from 0, 1 and 2.

constexpr std::string_view hugging_face = R"(
(resnet.|)embedder.embedder.convolution.* -> conv1.*
(resnet.|)embedder.embedder.normalization.* -> bn1.*
(resnet.|)encoder.stages.<n>.layers.*.shortcut.convolution.* -> layer<n+1>.*.downsample.0.*
(resnet.|)encoder.stages.<n>.layers.*.shortcut.normalization.* -> layer<n+1>.*.downsample.1.*
(resnet.|)encoder.stages.<n>.layers.*.layer.0.convolution.* -> layer<n+1>.*.conv1.*
(resnet.|)encoder.stages.<n>.layers.*.layer.0.normalization.* -> layer<n+1>.*.bn1.*
(resnet.|)encoder.stages.<n>.layers.*.layer.1.convolution.* -> layer<n+1>.*.conv2.*
(resnet.|)encoder.stages.<n>.layers.*.layer.1.normalization.* -> layer<n+1>.*.bn2.*
(resnet.|)encoder.stages.<n>.layers.*.layer.2.convolution.* -> layer<n+1>.*.conv3.*
(resnet.|)encoder.stages.<n>.layers.*.layer.2.normalization.* -> layer<n+1>.*.bn3.*
classifier.1.* -> fc.*
)";

constexpr std::string_view open_mmlab = R"(
head.fc.* -> fc.*
)";

constexpr std::string_view timm_v2 = R"(
stem.conv.* -> conv1.*
stem.norm.* -> bn1.*
stem.conv1.* -> conv1.0.*
stem.norm1.* -> conv1.1.*
stem.conv2.* -> conv1.3.*
stem.norm2.* -> conv1.4.*
stem.conv3.* -> conv1.6.*
stem.norm3.* -> bn1.*
stages.<n>.blocks.*.norm1.* -> layer<n+1>.*.bn1.*
stages.<n>.blocks.*.norm2.* -> layer<n+1>.*.bn2.*
stages.<n>.blocks.*.norm3.* -> layer<n+1>.*.bn3.*
stages.<n>.blocks.*.downsample.conv.* -> layer<n+1>.*.downsample.0.*
stages.<n>.blocks.*.downsample.norm.* -> layer<n+1>.*.downsample.1.*
stages.<n>.blocks.* -> layer<n+1>.*
head.fc.* -> fc.*
)";

constexpr std::string_view first_senet = R"(
layer0.* -> *
*.se_module.* -> *.se.*
last_linear.* -> fc.*
)";
constexpr std::string_view first_senet_deep = R"(
layer0.conv1.* -> conv1.0.*
layer0.bn1.* -> conv1.1.*
layer0.conv2.* -> conv1.3.*
layer0.bn2.* -> conv1.4.*
layer0.conv3.* -> conv1.6.*
layer0.bn3.* -> bn1.*
*.se_module.* -> *.se.*
last_linear.* -> fc.*
)";

// What tutorials and CIFAR repositories call stages, and the parts inside and around them.
constexpr std::string_view stages_from_0 = R"(
(layer|layers.|layers|stage|stages.|blocks.|block|groups.|group|layer_|stage_|block_)<n>.* -> layer<n+1>.*
)";
constexpr std::string_view stages_from_1 = R"(
(layers|stage|block|group|layer_|stage_|block_|res|res_layer|residual_layer)<n+1>.* -> layer<n+1>.*
)";
constexpr std::string_view stages_from_2 = R"(
(conv<n+2>_x|conv<n+2>|stage<n+2>|layer<n+2>|res<n+2>).* -> layer<n+1>.*
)";
constexpr std::string_view parts = R"(
layer*.(shortcut|identity_downsample|i_downsample|downsample_layer|skip|skip_connection|residual|proj|projection|downsampling|identity|match).(0|conv|convolution|conv1).* -> layer*.downsample.0.*
layer*.(shortcut|identity_downsample|i_downsample|downsample_layer|skip|skip_connection|residual|proj|projection|downsampling|identity|match).(1|bn|norm|batch_norm|bn1).* -> layer*.downsample.1.*
layer*.(residual_function|block|blocks|layers|main|main_path|left|body|seq|net|conv|convs|conv_block|features|residual_branch|double_conv).0.* -> layer*.conv1.*
layer*.(residual_function|block|blocks|layers|main|main_path|left|body|seq|net|conv|convs|conv_block|features|residual_branch|double_conv).1.* -> layer*.bn1.*
layer*.(residual_function|block|blocks|layers|main|main_path|left|body|seq|net|conv|convs|conv_block|features|residual_branch|double_conv).3.* -> layer*.conv2.*
layer*.(residual_function|block|blocks|layers|main|main_path|left|body|seq|net|conv|convs|conv_block|features|residual_branch|double_conv).4.* -> layer*.bn2.*
layer*.(residual_function|block|blocks|layers|main|main_path|left|body|seq|net|conv|convs|conv_block|features|residual_branch|double_conv).6.* -> layer*.conv3.*
layer*.(residual_function|block|blocks|layers|main|main_path|left|body|seq|net|conv|convs|conv_block|features|residual_branch|double_conv).7.* -> layer*.bn3.*
layer*.(conv1|conv_1|conv1_block|layer1|block1).(0|conv).* -> layer*.conv1.*
layer*.(conv1|conv_1|conv1_block|layer1|block1).(1|bn|norm|batch_norm).* -> layer*.bn1.*
layer*.(conv2|conv_2|conv2_block|layer2|block2).(0|conv).* -> layer*.conv2.*
layer*.(conv2|conv_2|conv2_block|layer2|block2).(1|bn|norm|batch_norm).* -> layer*.bn2.*
layer*.(conv3|conv_3|conv3_block|layer3|block3).(0|conv).* -> layer*.conv3.*
layer*.(conv3|conv_3|conv3_block|layer3|block3).(1|bn|norm|batch_norm).* -> layer*.bn3.*
layer*.(norm1|batch_norm1|batchnorm1|bn_1|norm_1|batch_norm_1).* -> layer*.bn1.*
layer*.(norm2|batch_norm2|batchnorm2|bn_2|norm_2|batch_norm_2).* -> layer*.bn2.*
layer*.(norm3|batch_norm3|batchnorm3|bn_3|norm_3|batch_norm_3).* -> layer*.bn3.*
layer*.conv_1.* -> layer*.conv1.*
layer*.conv_2.* -> layer*.conv2.*
layer*.conv_3.* -> layer*.conv3.*
layer*.se.fc.0.* -> layer*.se.fc1.*
layer*.se.fc.2.* -> layer*.se.fc2.*
(conv1|conv0|stem|conv|gate|initial|initial_conv|prep|input_layer|in_layer|input_block|first|pre|conv_layer|conv_1|layer0).(0|conv|conv1|conv_1).* -> conv1.*
(conv1|conv0|stem|conv|gate|initial|initial_conv|prep|input_layer|in_layer|input_block|first|pre|conv_layer|conv_1|layer0).(1|bn|norm|bn1|norm1|batch_norm).* -> bn1.*
(conv|conv0|stem|conv_1|initial_conv|conv_in|stem_conv).* -> conv1.*
(bn|bn0|norm1|norm0|batch_norm|batch_norm1|batchnorm1|bn_1|initial_bn|stem_bn|batchnorm|stem_norm).* -> bn1.*
(linear|classifier|head|out|output|output_layer|fc1|fc_layer|last_linear|final|dense|logits|clf|linear_layer|fully_connected|decoder.decoder).* -> fc.*
(fc|linear|classifier|head|out|output).(0|1|2|fc).* -> fc.*
)";

struct Family {
  std::string_view name;
  std::string_view stage;  ///< rules for the names of the stages, applied first
  std::string_view inner;  ///< rules for what is inside and around them
  bool first_senet = false;
};

/// Of equals the first counts.
constexpr std::array<Family, 10> families = {{
    {"", "", ""},  // torchvision and timm
    {hugging_face_family, "", hugging_face},
    {"OpenMMLab", "", open_mmlab},
    {timm_v2_family, "", timm_v2},
    {"SENet", "", first_senet, true},
    {"SENet", "", first_senet_deep, true},
    {"tutorial (layer1 ...)", "", parts},
    {"tutorial (layer0 ...)", stages_from_0, parts},
    {"tutorial (stage1 ...)", stages_from_1, parts},
    {"tutorial (conv2_x ...)", stages_from_2, parts},
}};

/// Expands the first (a|b) of a line, over and over. The tables above nest none.
void expand_choices(const std::string& line, std::vector<std::string>& lines) {
  std::vector<std::string> open = {line};
  while (!open.empty()) {
    const std::string text = std::move(open.back());
    open.pop_back();
    const std::size_t begin = text.find('(');
    if (begin == std::string::npos) {
      lines.push_back(text);
      continue;
    }
    const std::size_t end = text.find(')', begin);
    const std::string choices = text.substr(begin + 1, end - begin - 1) + '|';
    for (std::size_t from = 0; from < choices.size();) {
      const std::size_t bar = choices.find('|', from);
      open.push_back(text.substr(0, begin) + choices.substr(from, bar - from) + text.substr(end + 1));
      from = bar + 1;
    }
  }
}

std::string with_number(std::string line, std::size_t number) {
  for (std::size_t plus = 0; plus <= 2; ++plus) {
    const std::string mark = plus == 0 ? "<n>" : "<n+" + std::to_string(plus) + '>';
    for (std::size_t at = line.find(mark); at != std::string::npos; at = line.find(mark)) {
      line.replace(at, mark.size(), std::to_string(number + plus));
    }
  }
  return line;
}

KeyMap key_map(std::string_view rules) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < rules.size();) {
    const std::size_t end = std::min(rules.find('\n', begin), rules.size());
    const std::string line(rules.substr(begin, end - begin));
    begin = end + 1;
    const bool per_stage = line.find("<n") != std::string::npos;
    for (std::size_t number = 0; number < (per_stage ? max_stages : 1); ++number) {
      expand_choices(per_stage ? with_number(line, number) : line, lines);
    }
  }
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return KeyMap::parse(text, "name_families.cpp");
}

/// "layer1.17.conv1.weight" without 17. Only numbers from 2 that have one before and one behind them are left out: the
/// others also tell stages and the parts of a sequence.
std::string without_block_number(const std::string& name) {
  const auto is_digit = [&](std::size_t i) { return name[i] >= '0' && name[i] <= '9'; };
  std::size_t begin = 0, end = 0;
  int numbers = 0;
  for (std::size_t i = 0; i < name.size() && numbers < 3; ++i) {
    if (!is_digit(i)) continue;
    const std::size_t first = i;
    while (i < name.size() && is_digit(i)) ++i;
    if (++numbers != 2) continue;
    begin = first;
    end = i;
  }
  const bool low = end - begin == 1 && name[begin] < '2';
  return numbers < 3 || low ? name : name.substr(0, begin) + '#' + name.substr(end);
}

struct Renamed {
  Naming naming;
  std::vector<std::string> names;
};

/// Expanded and parsed once.
const KeyMap& key_map_of(std::string_view rules) {
  static std::map<const char*, KeyMap> maps;
  const auto known = maps.find(rules.data());
  return known != maps.end() ? known->second : maps.emplace(rules.data(), key_map(rules)).first->second;
}

/// A canonical name, and what any family puts around its parts, is far shorter.
constexpr std::size_t longest_name = 200;

/// The canonical name, or what becomes of it under this family; the numbers of the rules that were used.
std::string renamed(const std::string& name, const Family& family, const std::string& prefix,
                    std::size_t* stage_rule = nullptr, std::size_t* inner_rule = nullptr) {
  const KeyMap &stage = key_map_of(family.stage), &inner = key_map_of(family.inner);
  return inner.apply(stage.apply(name.starts_with(prefix) ? name.substr(prefix.size()) : name, stage_rule), inner_rule);
}

/// A name and how many tensors have one like it.
struct Sample {
  const std::string* name;
  std::size_t tensors;
};

/// One name for all that differ in the number of the block only, and not too many: enough to compare families.
std::vector<Sample> sample_of(const std::vector<SourceTensor>& tensors) {
  constexpr std::size_t most = 400;
  std::vector<Sample> samples;
  std::unordered_map<std::string, std::size_t> known;
  for (const SourceTensor& tensor : tensors) {
    if (is_training_state(tensor.name) || tensor.name.size() > longest_name) continue;
    const auto [like, added] = known.emplace(without_block_number(tensor.name), samples.size());
    if (added) samples.push_back({&tensor.name, 0});
    ++samples[like->second].tensors;
  }
  if (samples.size() <= most) return samples;
  std::vector<Sample> spread;
  for (std::size_t i = 0; i < most; ++i) spread.push_back(samples[i * samples.size() / most]);
  return spread;
}

/// How many tensors have a canonical name under this family, by the samples; none without a first stage, which tells
/// families apart that count stages from 0, 1 or 2.
std::size_t score_of(const std::vector<Sample>& samples, const Family& family, const std::string& prefix) {
  std::unordered_set<std::string> taken;
  std::size_t canonical = 0;
  bool first_stage = false;
  for (const Sample& sample : samples) {
    std::string name = renamed(*sample.name, family, prefix);
    first_stage = first_stage || name.starts_with("layer1.");
    if (is_canonical_key(name) && taken.insert(std::move(name)).second) canonical += sample.tensors;
  }
  return first_stage ? canonical : 0;
}

Renamed rename(const std::vector<SourceTensor>& tensors, const Family& family, const std::string& prefix) {
  const KeyMap &stage = key_map_of(family.stage), &inner = key_map_of(family.inner);
  Renamed result;
  std::set<std::size_t> stage_rules, inner_rules;
  std::unordered_set<std::string> taken;
  for (const SourceTensor& tensor : tensors) {
    constexpr auto none = static_cast<std::size_t>(-1);
    std::size_t stage_rule = none, inner_rule = none;
    std::string name;
    if (tensor.name.size() <= longest_name) name = renamed(tensor.name, family, prefix, &stage_rule, &inner_rule);
    const bool canonical = is_canonical_key(name) && taken.insert(name).second;
    if (canonical) {
      if (stage_rule != none) stage_rules.insert(stage_rule);
      if (inner_rule != none) inner_rules.insert(inner_rule);
      if (!is_training_state(name)) ++result.naming.canonical;
    }
    result.names.push_back(canonical ? std::move(name) : tensor.name);
  }
  result.naming.family = family.name;
  result.naming.prefix = prefix;
  result.naming.first_senet = family.first_senet;
  result.naming.stage = stage.reversed(stage_rules);
  result.naming.inner = inner.reversed(inner_rules);
  return result;
}

/// Nothing, and what stands before the dots of the first name: "backbone.", "backbone.body." ...
std::vector<std::string> possible_prefixes(const std::vector<SourceTensor>& tensors) {
  constexpr std::size_t most = 4;
  std::vector<std::string> prefixes = {""};
  if (tensors.empty()) return prefixes;
  const std::string& first = tensors.front().name;
  for (std::size_t dot = first.find('.'); dot != std::string::npos && prefixes.size() < most;
       dot = first.find('.', dot + 1)) {
    prefixes.push_back(first.substr(0, dot + 1));
  }
  return prefixes;
}

/// Drops axes of length 1, so that a view gets `rank` dimensions where that is possible.
void squeeze(SourceTensor& tensor, std::size_t rank) {
  for (std::size_t i = tensor.shape.size(); i-- > 0 && tensor.shape.size() > rank;) {
    if (tensor.shape[i] != 1) continue;
    tensor.shape.erase(tensor.shape.begin() + static_cast<std::ptrdiff_t>(i));
    tensor.strides.erase(tensor.strides.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace

std::string Naming::in_source(const std::string& canonical_key) const {
  return prefix + stage.apply(inner.apply(canonical_key));
}

bool is_training_state(std::string_view name) { return name.ends_with("num_batches_tracked"); }

Naming name_canonically(std::vector<SourceTensor>& tensors) {
  const std::vector<Sample> samples = sample_of(tensors);
  std::size_t weights = 0, most = 0;
  for (const Sample& sample : samples) weights += sample.tensors;
  const Family* family = &families.front();
  std::string prefix;
  for (const std::string& candidate : possible_prefixes(tensors)) {
    for (const Family& other : families) {
      const std::size_t canonical = score_of(samples, other, candidate);
      if (canonical > most) {
        most = canonical;
        family = &other;
        prefix = candidate;
      }
      if (most == weights) break;
    }
    if (2 * most > weights) break;  // a prefix hides most of the names, or there is none
  }
  Renamed best = rename(tensors, *family, prefix);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    SourceTensor& tensor = tensors[i];
    tensor.name = std::move(best.names[i]);
    const auto is = [&](std::string_view end) { return tensor.name.ends_with(end) && is_canonical_key(tensor.name); };
    // A dense layer that is written as a 1x1 convolution keeps its (out, in) in front.
    if (is("fc.weight") || is("se.fc1.weight") || is("se.fc2.weight")) {
      const bool pointwise = tensor.shape.size() == 4 && tensor.shape[2] == 1 && tensor.shape[3] == 1;
      if (pointwise) {
        tensor.shape.resize(2);
        tensor.strides.resize(2);
      }
    }
    if (is("se.conv.weight")) squeeze(tensor, 1);
  }
  return std::move(best.naming);
}

}  // namespace resnet::convert
