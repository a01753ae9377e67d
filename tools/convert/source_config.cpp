#include "convert/source_config.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "base/check.hpp"
#include "base/json.hpp"
#include "convert/advice.hpp"
#include "convert/known_nets.hpp"
#include "resnet_engine/image.hpp"

namespace resnet::convert {
namespace {

constexpr std::uint64_t max_config = 16u << 20;

Json read_json(const SourceFile& file) {
  if (file.size() > max_config)
    fail(ErrorCode::limit_exceeded, "is larger than 16 MiB", file.name(), leave_configuration);
  const auto bytes = file.read(0, file.size());
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.name());
}

const Json* member(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::vector<std::int64_t> integers(const Json& json, const std::string& where) {
  std::vector<std::int64_t> values;
  for (const Json& value : json.as_array(where)) values.push_back(value.as_int(where));
  return values;
}

std::vector<double> numbers(const Json& json, const std::string& where) {
  std::vector<double> values;
  for (const Json& value : json.as_array(where)) values.push_back(value.as_double(where));
  return values;
}

/// A list of names, or an object from index to name that has every index once.
std::vector<std::string> label_list(const Json& json, const std::string& where) {
  std::vector<std::string> labels;
  if (json.is_array()) {
    for (const Json& label : json.as_array()) labels.push_back(label.as_string(where));
    return labels;
  }
  const auto& object = json.as_object(where);
  labels.resize(object.size());
  std::vector<bool> seen(object.size(), false);
  for (const auto& [key, label] : object) {
    const bool digits = !key.empty() && key.size() < 10 &&
                        std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
    const std::size_t index = digits ? std::stoul(key) : labels.size();
    if (index >= labels.size() || seen[index]) {
      fail(ErrorCode::bad_header, "the labels have gaps: \"" + key + "\" of " + std::to_string(labels.size()), where,
           "give the labels with --labels");
    }
    seen[index] = true;
    labels[index] = label.as_string(where);
  }
  return labels;
}

std::optional<Filter> filter_of(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Filter>, 5> filters = {{{"nearest", Filter::nearest},
                                                                           {"box", Filter::box},
                                                                           {"bilinear", Filter::bilinear},
                                                                           {"bicubic", Filter::bicubic},
                                                                           {"lanczos", Filter::lanczos}}};
  for (const auto& [known, filter] : filters) {
    if (known == name) return filter;
  }
  return std::nullopt;
}

/// Pillow's numbers.
std::optional<Filter> filter_of(std::int64_t resample) {
  constexpr std::array<Filter, 5> filters = {Filter::nearest, Filter::lanczos, Filter::bilinear, Filter::bicubic,
                                             Filter::box};
  if (resample < 0 || resample >= static_cast<std::int64_t>(filters.size())) return std::nullopt;
  return filters[static_cast<std::size_t>(resample)];
}

void set_resize(Preprocess& preprocess, ResizeMode mode, std::int64_t h, std::int64_t w) {
  preprocess.resize = mode;
  preprocess.resize_h = h;
  preprocess.resize_w = w;
}
void set_crop(Preprocess& preprocess, std::int64_t h, std::int64_t w) {
  preprocess.crop = true;
  preprocess.crop_h = h;
  preprocess.crop_w = w;
}

/// int(size / part), as Python computes it; 0 for what is no size.
std::int64_t edge_of(std::int64_t size, double part) {
  const double edge = std::floor(static_cast<double>(size) / part);
  return edge >= 1 && edge <= 1e6 ? static_cast<std::int64_t>(edge) : 0;
}

/// What the fields of a Preprocess are called in a configuration.
using Keys = std::array<std::pair<std::string_view, const char*>, 4>;
constexpr Keys timm_keys = {{{"mean", ".mean"}, {"std", ".std"}, {"size", ".crop_pct"}, {"crop", ".input_size"}}};
constexpr Keys hugging_face_keys = {
    {{"mean", ": image_mean"}, {"std", ": image_std"}, {"scale", ": rescale_factor"}, {"size", ": size"}}};

void store(const Preprocess& preprocess, SourceConfig& config, const std::string& where, const Keys& keys) {
  config.preprocess_where = where;
  try {
    config.preprocess_json = preprocess.to_json();  // checks its ranges
  } catch (const Error& error) {
    const std::string_view place = error.where();
    const std::string_view field = place.substr(place.rfind('.') + 1);
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const auto& known) { return known.first == field; });
    config.preprocess_refusal =
        where + (key == keys.end() ? ": " + std::string(field) : std::string(key->second)) + ": " + error.message();
  }
}

/// As it stands in the file, or shorter.
std::string number_text(double value) { return Json(value).dump(); }

// --- timm

/// Arguments that change a network whose name is known; others that do not matter for its result are left out.
void apply_model_args(const Json& json, ResNetArgs& args, const std::string& where) {
  constexpr std::array<std::string_view, 9> harmless = {"num_classes",    "in_chans",        "drop_rate",
                                                        "drop_path_rate", "drop_block_rate", "zero_init_last",
                                                        "device",         "dtype",           "pretrained"};
  for (const auto& [key, value] : json.as_object(where)) {
    const std::string place = where + '.' + key;
    if (std::find(harmless.begin(), harmless.end(), key) != harmless.end()) continue;
    if (key == "channels") {
      args.channels = integers(value, place);
      if (args.preactivation && args.bottleneck) {
        for (std::int64_t& channels : args.channels) channels /= 4;  // v2 counts them behind the expansion
      }
    } else if (key == "layers") {
      args.layers = integers(value, place);
    } else if (key == "stem_width") {
      args.stem_width = value.as_int(place);
    } else if (key == "stem_chs") {
      args.plain_stem = value.as_int(place);
      args.stem_width = args.plain_stem / 2;
    } else if (key == "cardinality") {
      args.cardinality = value.as_int(place);
    } else if (key == "base_width") {
      args.base_width = value.as_int(place);
    } else if (key == "avg_down") {
      args.avg_down = value.as_bool(place);
    } else if (key == "stem_type") {
      const std::string& type = value.as_string(place);
      if (type != "" && type != "deep" && type != "deep_tiered") {
        fail(ErrorCode::import_failed, "\"" + type + "\" is no stem that is known", place,
             "describe the layers in a recipe (docs/convert.md)");
      }
      args.stem_type = type.empty() ? StemType::plain : type == "deep" ? StemType::deep : StemType::tiered;
    } else if (key == "output_stride" && value.as_int(place) == 32) {
      continue;
    } else if (key == "global_pool" && value.is_string() && value.as_string() == "avg") {
      continue;
    } else {
      fail(ErrorCode::import_failed, "changes the network in a way that cannot be converted: " + value.dump(), place,
           "describe the layers in a recipe (docs/convert.md)");
    }
  }
}

void read_timm_preprocess(const Json& cfg, const std::string& where, SourceConfig& config) {
  std::vector<std::int64_t> size = {3, 224, 224};
  if (const Json* json = member(cfg, "input_size")) size = integers(*json, where + ".input_size");
  if (size.size() != 3 || size[1] < 1 || size[2] < 1 || size[1] > 16384 || size[2] > 16384) {
    fail(ErrorCode::bad_header, "is not [channels, height, width] with sides of 1 to 16384", where + ".input_size");
  }
  config.height = size[1];
  config.width = size[2];
  Preprocess preprocess;
  preprocess.name = "timm";
  double crop_pct = 0.875;
  if (const Json* json = member(cfg, "crop_pct")) crop_pct = json->as_double(where + ".crop_pct");
  std::string interpolation = "bicubic", mode = "center";
  if (const Json* json = member(cfg, "interpolation")) interpolation = json->as_string(where + ".interpolation");
  if (const Json* json = member(cfg, "crop_mode")) mode = json->as_string(where + ".crop_mode");
  preprocess.mean = {0.485, 0.456, 0.406};
  preprocess.std = {0.229, 0.224, 0.225};
  if (const Json* json = member(cfg, "mean")) preprocess.mean = numbers(*json, where + ".mean");
  if (const Json* json = member(cfg, "std")) preprocess.std = numbers(*json, where + ".std");
  const auto filter = filter_of(interpolation);
  const std::int64_t edge_h = edge_of(size[1], crop_pct), edge_w = edge_of(size[2], crop_pct);
  if (!filter) config.preprocess_refusal = "interpolation \"" + interpolation + '"';
  if (mode != "center" && mode != "squash") config.preprocess_refusal = "crop_mode \"" + mode + '"';
  if (mode == "center" && edge_h != edge_w) config.preprocess_refusal = "a centre crop that is not square";
  if (size[0] != 3) config.preprocess_refusal = std::to_string(size[0]) + " channels";
  if (edge_h == 0 || edge_w == 0) config.preprocess_refusal = "crop_pct " + number_text(crop_pct);
  if (!config.preprocess_refusal.empty()) {
    config.preprocess_refusal = where + ": " + config.preprocess_refusal;
    return;
  }
  preprocess.filter = *filter;
  set_resize(preprocess, mode == "squash" ? ResizeMode::exact : ResizeMode::short_edge, edge_h, edge_w);
  set_crop(preprocess, size[1], size[2]);
  store(preprocess, config, where, timm_keys);
}

void read_timm(const Json& json, const std::string& where, SourceConfig& config) {
  const std::string& name = json.at("architecture", where).as_string(where + ": architecture");
  if (const std::string_view reason = refusal_of(name); !reason.empty()) {
    fail(ErrorCode::import_failed, name + " cannot be converted: there is no support for " + std::string(reason), where,
         "convert a network that was trained with batch norm");
  }
  const Json* inner = member(json, "pretrained_cfg");  // older files have everything at the root
  const Json& cfg = inner == nullptr ? json : *inner;
  cfg.as_object(where + ": pretrained_cfg");
  auto args = arguments_of(name);
  if (args) {
    if (const Json* model_args = member(json, "model_args")) {
      apply_model_args(*model_args, *args, where + ": model_args");
    }
    try {
      config.net = ConfiguredNet{name, where, make_shape(*args)};
    } catch (const Error& error) {
      fail(error.code(), error.message(), where + ": model_args", error.next());
    }
  } else {
    config.net = ConfiguredNet{name, where, std::nullopt};
  }
  for (const Json* place : {&cfg, &json}) {
    for (const char* key : {"label_names", "labels"}) {
      if (const Json* labels = member(*place, key)) {
        config.labels_where = where + ": " + key;
        config.labels = label_list(*labels, config.labels_where);
      }
    }
    if (const Json* offset = member(*place, "label_offset")) {
      config.offset_where = where + ": label_offset";
      config.label_offset = offset->as_int(config.offset_where);
      if (config.label_offset < 0) fail(ErrorCode::bad_header, "is negative", config.offset_where);
    }
  }
  // Behind an offset the number is that of the classes left, or of all.
  if (const Json* classes = member(json, "num_classes"); classes != nullptr && config.label_offset == 0) {
    const std::int64_t count = classes->as_int(where + ": num_classes");
    if (count != 0) config.net->classes.push_back({"num_classes", count});
  }
  if (const Json* tag = member(cfg, "tag"); tag != nullptr && tag->is_string()) {
    config.imagenet = tag->as_string().ends_with("in1k");
  }
  read_timm_preprocess(cfg, where + ": pretrained_cfg", config);
}

// --- Hugging Face

ResNetShape hugging_face_shape(const Json& json, const std::string& where) {
  const auto flag = [&](const char* key) {
    const Json* value = member(json, key);
    return value != nullptr && value->as_bool(where + ": " + key);
  };
  const auto text = [&](const char* key, const char* otherwise) {
    const Json* value = member(json, key);
    return value == nullptr ? std::string(otherwise) : value->as_string(where + ": " + key);
  };
  const auto number = [&](const char* key, std::int64_t otherwise) {
    const Json* value = member(json, key);
    const std::int64_t result = value == nullptr ? otherwise : value->as_int(where + ": " + key);
    if (result < 1 || result > max_channels) {
      fail(ErrorCode::bad_header, std::to_string(result) + " is not 1 to " + std::to_string(max_channels),
           where + ": " + key);
    }
    return result;
  };
  if (const std::string act = text("hidden_act", "relu"); act != "relu") {
    fail(ErrorCode::import_failed, "hidden_act \"" + act + "\" is not supported", where,
         "only relu is: export the network to ONNX and convert that");
  }
  const std::string type = text("layer_type", "bottleneck");
  if (type != "basic" && type != "bottleneck") {
    fail(ErrorCode::bad_header, "unknown layer_type \"" + type + '"', where, "it is basic or bottleneck");
  }
  std::vector<std::int64_t> sizes = {256, 512, 1024, 2048}, depths = {3, 4, 6, 3};
  if (const Json* value = member(json, "hidden_sizes")) sizes = integers(*value, where + ": hidden_sizes");
  if (const Json* value = member(json, "depths")) depths = integers(*value, where + ": depths");
  if (sizes.size() != depths.size() || sizes.empty() || sizes.size() > max_stages) {
    fail(ErrorCode::bad_header, "hidden_sizes and depths do not have the same length", where);
  }
  ResNetShape shape;
  shape.bottleneck = type == "bottleneck";
  shape.stride_in_1x1 = shape.bottleneck && flag("downsample_in_bottleneck");
  shape.stride_in_first_stage = flag("downsample_in_first_stage");
  shape.stem = {number("embedding_size", 64)};
  shape.input_channels = number("num_channels", 3);
  std::int64_t channels = shape.stem[0];
  for (std::size_t stage = 0; stage < sizes.size(); ++stage) {
    const bool size_ok = sizes[stage] >= 4 && sizes[stage] <= max_channels;
    if (!size_ok || depths[stage] < 1 || depths[stage] > max_blocks) {
      fail(ErrorCode::bad_header, "hidden_sizes or depths are out of range", where);
    }
    BlockShape block;
    block.out = sizes[stage];
    block.width1 = block.width2 = shape.bottleneck ? block.out / 4 : block.out;
    shape.stages.emplace_back(static_cast<std::size_t>(depths[stage]), block);
    if (shape.stride(stage) != 1 || channels != block.out) shape.stages.back().front().projection = 1;
    channels = block.out;
  }
  return shape;
}

void read_hugging_face(const Json& json, const std::string& where, SourceConfig& config) {
  config.net = ConfiguredNet{"Hugging Face's ResNet", where, hugging_face_shape(json, where)};
  config.net->channels.push_back({"num_channels", config.net->shape->input_channels});
  if (const Json* classes = member(json, "num_labels")) {
    config.net->classes.push_back({"num_labels", classes->as_int(where + ": num_labels")});
  }
  const Json* labels = member(json, "id2label");
  if (labels == nullptr) return;
  config.labels_where = where + ": id2label";
  config.labels = label_list(*labels, config.labels_where);
  if (!config.labels.empty()) {
    config.net->classes.push_back({"id2label", static_cast<std::int64_t>(config.labels.size())});
  }
  // What transformers writes when nobody gave names.
  if (std::all_of(config.labels.begin(), config.labels.end(), [](const auto& l) { return l.starts_with("LABEL_"); })) {
    config.labels.clear();
  }
}

/// [height, width] of a size that is a number, {"shortest_edge"} or {"height", "width"}; `edge` says which.
std::pair<std::int64_t, std::int64_t> size_of(const Json& json, const std::string& where, bool& edge) {
  const auto checked = [&](std::int64_t value) {
    if (value < 1 || value > 16384) fail(ErrorCode::bad_header, std::to_string(value) + " is not 1 to 16384", where);
    return value;
  };
  edge = true;
  if (json.is_int()) return {checked(json.as_int()), checked(json.as_int())};
  if (const Json* value = member(json, "shortest_edge")) {
    return {checked(value->as_int(where)), checked(value->as_int(where))};
  }
  edge = false;
  return {checked(json.at("height", where).as_int(where)), checked(json.at("width", where).as_int(where))};
}

void read_preprocessor(const Json& json, const std::string& where, SourceConfig& config) {
  const auto flag = [&](const char* key, bool otherwise) {
    const Json* value = member(json, key);
    return value == nullptr ? otherwise : value->as_bool(where + ": " + key);
  };
  std::string type;
  for (const char* key : {"feature_extractor_type", "image_processor_type"}) {
    if (const Json* value = member(json, key)) type = value->as_string(where + ": " + key);
  }
  const bool convnext = type.starts_with("ConvNext"), vit = type.starts_with("ViT"), bit = type.starts_with("Bit");
  const Json* size = member(json, "size");
  if ((!convnext && !vit && !bit) || size == nullptr || !flag("do_resize", true)) {
    config.preprocess_refusal = where + ": preprocessing by \"" + type + "\" with these settings";
    return;
  }
  Preprocess preprocess;
  preprocess.name = "huggingface";
  preprocess.crop_rounding = CropRounding::down;
  std::int64_t resample = convnext || bit ? 3 : 2;
  if (const Json* value = member(json, "resample")) resample = value->as_int(where + ": resample");
  const auto filter = filter_of(resample);
  if (!filter) {
    config.preprocess_refusal = where + ": resample " + std::to_string(resample);
    return;
  }
  preprocess.filter = *filter;
  bool edge = false;
  const auto [h, w] = size_of(*size, where + ": size", edge);
  config.height = h;
  config.width = w;
  preprocess.crop = false;
  if (convnext && edge && h < 384) {
    double crop_pct = 224.0 / 256.0;
    if (const Json* value = member(json, "crop_pct")) crop_pct = value->as_double(where + ": crop_pct");
    const std::int64_t resize = edge_of(h, crop_pct);
    if (resize == 0) {
      config.preprocess_refusal = where + ": crop_pct " + number_text(crop_pct);
      return;
    }
    set_resize(preprocess, ResizeMode::short_edge, resize, resize);
    set_crop(preprocess, h, w);
  } else if (bit) {
    set_resize(preprocess, edge ? ResizeMode::short_edge : ResizeMode::exact, h, w);
    if (flag("do_center_crop", true)) {
      bool crop_edge = false;
      const auto [crop_h, crop_w] = size_of(json.at("crop_size", where), where + ": crop_size", crop_edge);
      set_crop(preprocess, crop_h, crop_w);
      config.height = crop_h;
      config.width = crop_w;
    }
  } else {
    set_resize(preprocess, ResizeMode::exact, h, w);
  }
  preprocess.scale = 1.0 / 255.0;
  if (const Json* value = member(json, "rescale_factor"))
    preprocess.scale = value->as_double(where + ": rescale_factor");
  if (!flag("do_rescale", true)) preprocess.scale = 1;
  if (flag("do_normalize", true)) {
    preprocess.mean = numbers(json.at("image_mean", where), where + ": image_mean");
    preprocess.std = numbers(json.at("image_std", where), where + ": image_std");
  }
  store(preprocess, config, where, hugging_face_keys);
}

SourceConfig read_files(const SourceFiles& files) {
  SourceConfig config;
  if (const SourceFile* file = files.find("config.json")) {
    const Json json = read_json(*file);
    json.as_object(file->name());
    const Json* type = member(json, "model_type");
    if (member(json, "architecture") != nullptr) {
      read_timm(json, file->name(), config);
    } else if (type != nullptr && type->is_string() && type->as_string() == "resnet") {
      read_hugging_face(json, file->name(), config);
    } else if (type != nullptr && type->is_string()) {
      config.net = ConfiguredNet{type->as_string(), file->name(), std::nullopt};
    } else {
      config.notes.push_back("config.json beside it names no architecture: not used");
    }
  }
  if (const SourceFile* file = files.find("preprocessor_config.json")) {
    const Json json = read_json(*file);
    json.as_object(file->name());
    read_preprocessor(json, file->name(), config);
  }
  return config;
}

}  // namespace

SourceConfig read_source_config(const SourceFiles& files) {
  return with_advice(leave_configuration, [&] { return read_files(files); });
}

}  // namespace resnet::convert
