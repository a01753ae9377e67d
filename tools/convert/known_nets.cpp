#include "convert/known_nets.hpp"

#include <algorithm>
#include <array>

namespace resnet::convert {
namespace {

enum class Stem : std::uint8_t {
  plain,
  c,  ///< 32, 32, 64
  d,  ///< the same, with pooled shortcuts
  s,  ///< 64, 64, 128
  e,  ///< the same, with pooled shortcuts
  t,  ///< 24, 32, 64, with pooled shortcuts
  a,  ///< plain, with pooled shortcuts
};
constexpr auto none = Attention::none, se = Attention::squeeze_excite, eca = Attention::efficient_channel;
constexpr auto blur = AntiAlias::blur, average = AntiAlias::average, sharp = AntiAlias::none;
constexpr bool basic = false, bottleneck = true;

struct Row {
  std::string_view name;
  bool bottleneck;
  std::array<std::int64_t, 4> layers;
  std::int64_t cardinality, base_width;
  Stem stem = Stem::plain;
  Attention attention = none;
  AntiAlias anti_alias = sharp;
};

constexpr std::size_t torchvision_count = 10;
constexpr std::array<std::int64_t, torchvision_count> torchvision_parameters = {
    11'689'512, 21'797'672, 25'557'032, 44'549'160, 60'192'808,
    25'028'904, 88'791'336, 83'455'272, 68'883'240, 126'886'696};

constexpr std::array<Row, 77> rows = {{
    {"resnet18", basic, {2, 2, 2, 2}, 1, 64},
    {"resnet34", basic, {3, 4, 6, 3}, 1, 64},
    {"resnet50", bottleneck, {3, 4, 6, 3}, 1, 64},
    {"resnet101", bottleneck, {3, 4, 23, 3}, 1, 64},
    {"resnet152", bottleneck, {3, 8, 36, 3}, 1, 64},
    {"resnext50_32x4d", bottleneck, {3, 4, 6, 3}, 32, 4},
    {"resnext101_32x8d", bottleneck, {3, 4, 23, 3}, 32, 8},
    {"resnext101_64x4d", bottleneck, {3, 4, 23, 3}, 64, 4},
    {"wide_resnet50_2", bottleneck, {3, 4, 6, 3}, 1, 128},
    {"wide_resnet101_2", bottleneck, {3, 4, 23, 3}, 1, 128},
    // timm
    {"resnet10t", basic, {1, 1, 1, 1}, 1, 64, Stem::t},
    {"resnet14t", bottleneck, {1, 1, 1, 1}, 1, 64, Stem::t},
    {"resnet18d", basic, {2, 2, 2, 2}, 1, 64, Stem::d},
    {"resnet26", bottleneck, {2, 2, 2, 2}, 1, 64},
    {"resnet26d", bottleneck, {2, 2, 2, 2}, 1, 64, Stem::d},
    {"resnet26t", bottleneck, {2, 2, 2, 2}, 1, 64, Stem::t},
    {"resnet34d", basic, {3, 4, 6, 3}, 1, 64, Stem::d},
    {"resnet50c", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::c},
    {"resnet50d", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::d},
    {"resnet50s", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::s},
    {"resnet50t", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::t},
    {"resnet101c", bottleneck, {3, 4, 23, 3}, 1, 64, Stem::c},
    {"resnet101d", bottleneck, {3, 4, 23, 3}, 1, 64, Stem::d},
    {"resnet101s", bottleneck, {3, 4, 23, 3}, 1, 64, Stem::s},
    {"resnet152c", bottleneck, {3, 8, 36, 3}, 1, 64, Stem::c},
    {"resnet152d", bottleneck, {3, 8, 36, 3}, 1, 64, Stem::d},
    {"resnet152s", bottleneck, {3, 8, 36, 3}, 1, 64, Stem::s},
    {"resnet200", bottleneck, {3, 24, 36, 3}, 1, 64},
    {"resnet200d", bottleneck, {3, 24, 36, 3}, 1, 64, Stem::d},
    {"resnext50d_32x4d", bottleneck, {3, 4, 6, 3}, 32, 4, Stem::d},
    {"resnext101_32x4d", bottleneck, {3, 4, 23, 3}, 32, 4},
    {"resnext101_32x16d", bottleneck, {3, 4, 23, 3}, 32, 16},
    {"resnext101_32x32d", bottleneck, {3, 4, 23, 3}, 32, 32},
    {"ecaresnet26t", bottleneck, {2, 2, 2, 2}, 1, 64, Stem::t, eca},
    {"ecaresnet50d", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::d, eca},
    {"ecaresnet50t", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::t, eca},
    {"ecaresnet101d", bottleneck, {3, 4, 23, 3}, 1, 64, Stem::d, eca},
    {"ecaresnet200d", bottleneck, {3, 24, 36, 3}, 1, 64, Stem::d, eca},
    {"ecaresnet269d", bottleneck, {3, 30, 48, 8}, 1, 64, Stem::d, eca},
    {"ecaresnetlight", bottleneck, {1, 1, 11, 3}, 1, 64, Stem::a, eca},
    {"ecaresnext26t_32x4d", bottleneck, {2, 2, 2, 2}, 32, 4, Stem::t, eca},
    {"ecaresnext50t_32x4d", bottleneck, {3, 4, 6, 3}, 32, 4, Stem::t, eca},
    {"seresnet18", basic, {2, 2, 2, 2}, 1, 64, Stem::plain, se},
    {"seresnet34", basic, {3, 4, 6, 3}, 1, 64, Stem::plain, se},
    {"seresnet50", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::plain, se},
    {"seresnet50t", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::t, se},
    {"seresnet101", bottleneck, {3, 4, 23, 3}, 1, 64, Stem::plain, se},
    {"seresnet152", bottleneck, {3, 8, 36, 3}, 1, 64, Stem::plain, se},
    {"seresnet152d", bottleneck, {3, 8, 36, 3}, 1, 64, Stem::d, se},
    {"seresnet200d", bottleneck, {3, 24, 36, 3}, 1, 64, Stem::d, se},
    {"seresnet269d", bottleneck, {3, 30, 48, 8}, 1, 64, Stem::d, se},
    {"seresnext26d_32x4d", bottleneck, {2, 2, 2, 2}, 32, 4, Stem::d, se},
    {"seresnext26t_32x4d", bottleneck, {2, 2, 2, 2}, 32, 4, Stem::t, se},
    {"seresnext50_32x4d", bottleneck, {3, 4, 6, 3}, 32, 4, Stem::plain, se},
    {"seresnext101_32x4d", bottleneck, {3, 4, 23, 3}, 32, 4, Stem::plain, se},
    {"seresnext101_32x8d", bottleneck, {3, 4, 23, 3}, 32, 8, Stem::plain, se},
    {"seresnext101_64x4d", bottleneck, {3, 4, 23, 3}, 64, 4, Stem::plain, se},
    {"seresnext101d_32x8d", bottleneck, {3, 4, 23, 3}, 32, 8, Stem::d, se},
    {"resnetaa34d", basic, {3, 4, 6, 3}, 1, 64, Stem::d, none, average},
    {"resnetaa50", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::plain, none, average},
    {"resnetaa50d", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::d, none, average},
    {"resnetaa101d", bottleneck, {3, 4, 23, 3}, 1, 64, Stem::d, none, average},
    {"seresnetaa50d", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::d, se, average},
    {"seresnextaa101d_32x8d", bottleneck, {3, 4, 23, 3}, 32, 8, Stem::d, se, average},
    {"seresnextaa201d_32x8d", bottleneck, {3, 24, 36, 4}, 32, 8, Stem::e, se, average},
    {"resnetblur18", basic, {2, 2, 2, 2}, 1, 64, Stem::plain, none, blur},
    {"resnetblur50", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::plain, none, blur},
    {"resnetblur50d", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::d, none, blur},
    {"resnetblur101d", bottleneck, {3, 4, 23, 3}, 1, 64, Stem::d, none, blur},
    {"legacy_seresnet18", basic, {2, 2, 2, 2}, 1, 64, Stem::plain, se},
    {"legacy_seresnet34", basic, {3, 4, 6, 3}, 1, 64, Stem::plain, se},
    {"legacy_seresnet50", bottleneck, {3, 4, 6, 3}, 1, 64, Stem::plain, se},
    {"legacy_seresnet101", bottleneck, {3, 4, 23, 3}, 1, 64, Stem::plain, se},
    {"legacy_seresnet152", bottleneck, {3, 8, 36, 3}, 1, 64, Stem::plain, se},
    {"legacy_seresnext26_32x4d", bottleneck, {2, 2, 2, 2}, 32, 4, Stem::plain, se},
    {"legacy_seresnext50_32x4d", bottleneck, {3, 4, 6, 3}, 32, 4, Stem::plain, se},
    {"legacy_seresnext101_32x4d", bottleneck, {3, 4, 23, 3}, 32, 4, Stem::plain, se},
}};

/// Families of one form each.
struct Series {
  std::string_view name;
  bool bottleneck;
  std::array<std::int64_t, 4> layers;
  Stem stem = Stem::plain;
};
constexpr std::array<Series, 7> resnet_rs = {{
    {"resnetrs50", bottleneck, {3, 4, 6, 3}, Stem::d},
    {"resnetrs101", bottleneck, {3, 4, 23, 3}, Stem::d},
    {"resnetrs152", bottleneck, {3, 8, 36, 3}, Stem::d},
    {"resnetrs200", bottleneck, {3, 24, 36, 3}, Stem::d},
    {"resnetrs270", bottleneck, {4, 29, 53, 4}, Stem::d},
    {"resnetrs350", bottleneck, {4, 36, 72, 4}, Stem::d},
    {"resnetrs420", bottleneck, {4, 44, 87, 4}, Stem::d},
}};
constexpr std::array<Series, 11> resnet_v2 = {{
    {"resnetv2_18", basic, {2, 2, 2, 2}},
    {"resnetv2_18d", basic, {2, 2, 2, 2}, Stem::d},
    {"resnetv2_34", basic, {3, 4, 6, 3}},
    {"resnetv2_34d", basic, {3, 4, 6, 3}, Stem::d},
    {"resnetv2_50", bottleneck, {3, 4, 6, 3}},
    {"resnetv2_50d", bottleneck, {3, 4, 6, 3}, Stem::d},
    {"resnetv2_50t", bottleneck, {3, 4, 6, 3}, Stem::t},
    {"resnetv2_101", bottleneck, {3, 4, 23, 3}},
    {"resnetv2_101d", bottleneck, {3, 4, 23, 3}, Stem::d},
    {"resnetv2_152", bottleneck, {3, 8, 36, 3}},
    {"resnetv2_152d", bottleneck, {3, 8, 36, 3}, Stem::d},
}};

void set_stem(Stem stem, ResNetArgs& args) {
  const bool wide = stem == Stem::s || stem == Stem::e;
  args.stem_type = stem == Stem::plain || stem == Stem::a ? StemType::plain
                   : stem == Stem::t                      ? StemType::tiered
                                                          : StemType::deep;
  args.stem_width = args.stem_type == StemType::plain || wide ? 64 : 32;
  args.avg_down = stem == Stem::d || stem == Stem::e || stem == Stem::t || stem == Stem::a;
}

ResNetArgs base_args(bool is_bottleneck, const std::array<std::int64_t, 4>& layers, Stem stem) {
  ResNetArgs args;
  args.bottleneck = is_bottleneck;
  args.layers.assign(layers.begin(), layers.end());
  set_stem(stem, args);
  return args;
}

bool is_legacy(std::string_view name) { return name.starts_with("legacy_"); }

constexpr std::string_view pruned = "_pruned";

std::string without_tag(std::string_view name) {
  std::string net(name.substr(0, name.find('.')));
  if (net.ends_with(pruned)) net.resize(net.size() - pruned.size());
  for (const std::string_view prefix : {"gluon_", "tv_", "ssl_", "swsl_", "ig_"}) {
    if (net.starts_with(prefix)) net.erase(0, prefix.size());
  }
  if (const std::size_t version = net.find("_v1"); version != std::string::npos && version + 4 == net.size()) {
    const char letter = net.back();  // b is what has no letter here
    net.resize(version);
    if (letter != 'b') net += letter;
  }
  return net;
}

std::vector<KnownNet> make_nets() {
  std::vector<KnownNet> nets;
  const auto add = [&](std::string_view name) {
    const std::int64_t parameters = nets.size() < torchvision_count ? torchvision_parameters[nets.size()] : -1;
    nets.push_back({name, make_shape(*arguments_of(name)), parameters});
  };
  for (const Row& row : rows) add(row.name);
  for (const Series& net : resnet_rs) add(net.name);
  for (const Series& net : resnet_v2) add(net.name);
  add("senet154");
  return nets;
}

}  // namespace

std::optional<ResNetArgs> arguments_of(std::string_view name) {
  const std::string wanted = without_tag(name);
  for (const Row& row : rows) {
    if (row.name != wanted) continue;
    ResNetArgs args = base_args(row.bottleneck, row.layers, row.stem);
    args.cardinality = row.cardinality;
    args.base_width = row.base_width;
    args.attention = row.attention;
    args.anti_alias = row.anti_alias;
    if (is_legacy(row.name)) {
      args.stem_pool = StemPool::max_ceil;
      args.stride_in_1x1 = row.bottleneck && row.cardinality == 1;
      args.relu_before_attention = !row.bottleneck;
      args.squeeze_divisor = 1;
    }
    return args;
  }
  for (const Series& net : resnet_rs) {
    if (net.name != wanted) continue;
    ResNetArgs args = base_args(net.bottleneck, net.layers, net.stem);
    args.stem_pool = StemPool::conv;
    args.attention = se;
    args.squeeze_ratio = 4;
    return args;
  }
  for (const Series& net : resnet_v2) {
    if (net.name != wanted) continue;
    ResNetArgs args = base_args(net.bottleneck, net.layers, net.stem);
    args.preactivation = true;
    return args;
  }
  if (wanted == "senet154") {
    ResNetArgs args = base_args(true, {3, 8, 36, 3}, Stem::s);
    args.cardinality = 64;
    args.base_width = 4;
    args.attention = se;
    args.down_kernel_size = 3;
    args.block_reduce_first = 2;
    return args;
  }
  return std::nullopt;
}

bool is_pruned(std::string_view name) { return name.substr(0, name.find('.')).ends_with(pruned); }

std::span<const KnownNet> known_nets() {
  static const std::vector<KnownNet> nets = make_nets();
  return nets;
}

std::span<const KnownNet> torchvision_nets() { return known_nets().first(torchvision_count); }

const KnownNet* find_known_net(std::string_view name) {
  const std::string wanted = without_tag(name);
  const auto nets = known_nets();
  const auto found = std::find_if(nets.begin(), nets.end(), [&](const auto& net) { return net.name == wanted; });
  return found == nets.end() ? nullptr : &*found;
}

const KnownNet* find_torchvision_net(std::string_view name) {
  const auto nets = torchvision_nets();
  const auto found = std::find_if(nets.begin(), nets.end(), [&](const auto& net) { return net.name == name; });
  return found == nets.end() ? nullptr : &*found;
}

std::string_view refusal_of(std::string_view name) {
  const std::string net = without_tag(name);
  if (net.find("_gn") != std::string::npos) return "its GroupNorm";
  if (net.starts_with("resnetv2_") && net.find("_bit") != std::string::npos) {
    return "its GroupNorm and standardised convolutions (BiT)";
  }
  if (net.ends_with("_evos")) return "its EvoNorm";
  if (net.ends_with("_frn")) return "its filter response normalisation";
  return {};
}

std::string_view name_of(const ResNetShape& shape) {
  for (const KnownNet& net : known_nets()) {
    ResNetShape same = shape;
    same.input_channels = net.shape.input_channels;
    same.classes = net.shape.classes;
    same.input_size = net.shape.input_size;
    if (same == net.shape) return net.name;
  }
  return {};
}

std::int64_t expected_parameters(const ResNetShape& shape) {
  const KnownNet* net = find_torchvision_net(name_of(shape));
  if (net == nullptr) return -1;
  return net->parameters + (shape.classes - 1000) * (shape.features() + 1) +
         (shape.input_channels - 3) * shape.stem.back() * 7 * 7;
}

}  // namespace resnet::convert
