#include "convert/importers/keras_config.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "base/check.hpp"

namespace resnet::convert {
namespace {

/// Numbers in lists, nested at most 8 deep.
void collect(const Json& json, std::vector<float>& out, int depth, const std::string& where) {
  if (!json.is_array() || depth > 8) {
    out.push_back(static_cast<float>(json.as_double(where)));
    return;
  }
  for (const Json& item : json.as_array()) collect(item, out, depth + 1, where);
}

/// A key that get_config() of a class writes and that is read here.
struct Key {
  std::string_view name;
  bool always = true;  ///< from Keras 2.0 on
  bool null = false;   ///< may be None
};

struct ClassKeys {
  std::string_view class_name;
  std::vector<Key> keys;
};

std::span<const Key> keys_of(std::string_view class_name) {
  constexpr Key filters{"filters"}, kernel_size{"kernel_size"}, strides{"strides"}, padding{"padding"},
      dilation_rate{"dilation_rate"}, use_bias{"use_bias"}, depth_multiplier{"depth_multiplier"};
  constexpr Key activation{.name = "activation", .null = true};
  constexpr Key pool_strides{.name = "strides", .null = true};  // as long as the window
  constexpr Key groups{.name = "groups", .always = false}, data_format{.name = "data_format", .always = false};
  constexpr Key later_dilation{.name = "dilation_rate", .always = false};
  const auto later = [](std::string_view name, bool null = false) { return Key{name, false, null}; };
  static const std::vector<ClassKeys> classes = {
      {"Conv2D", {filters, kernel_size, strides, padding, dilation_rate, use_bias, activation, groups, data_format}},
      {"DepthwiseConv2D",
       {kernel_size, strides, padding, use_bias, depth_multiplier, activation, later_dilation, data_format}},
      {"SeparableConv2D",
       {filters, kernel_size, strides, padding, use_bias, depth_multiplier, activation, later_dilation, data_format}},
      {"BatchNormalization", {{"axis"}, {"epsilon"}, {"center"}, {"scale"}}},
      {"BatchNormalizationV1", {{"axis"}, {"epsilon"}, {"center"}, {"scale"}}},
      {"Dense", {{"units"}, use_bias, activation}},
      {"MaxPooling2D", {{"pool_size"}, padding, pool_strides, data_format}},
      {"AveragePooling2D", {{"pool_size"}, padding, pool_strides, data_format}},
      {"GlobalAveragePooling2D", {data_format, later("keepdims")}},
      {"ZeroPadding2D", {padding, data_format}},
      {"Flatten", {data_format}},
      {"Reshape", {{"target_shape"}}},
      {"Activation", {{"activation"}}},
      {"ReLU", {{.name = "max_value", .null = true}, later("negative_slope"), later("threshold")}},
      {"Softmax", {{"axis"}}},
      {"Rescaling", {{"scale"}, {"offset"}}},
      {"Normalization",
       {{.name = "axis", .null = true}, later("mean", true), later("variance", true), later("invert")}},
      {"TFOpLambda", {{"function"}}},
  };
  for (const ClassKeys& known : classes) {
    if (known.class_name == class_name) return known.keys;
  }
  return {};
}

/// Whether one key may be the other with a damaged character or two.
bool resembles(std::string_view one, std::string_view other) {
  if (one.size() != other.size()) return false;
  int differing = 0;
  for (std::size_t i = 0; i < one.size(); ++i) differing += one[i] != other[i] ? 1 : 0;
  return differing <= 2;
}

}  // namespace

void explain(const Error& error, const std::string& where) {
  std::string place = error.where(), next = error.next();
  if (!place.starts_with(where)) place = place.empty() ? where : where + ": " + place;
  if (next.empty()) {
    next = error.code() == ErrorCode::limit_exceeded ? "convert a smaller model, or export ONNX"
                                                     : "save the model again with Keras";
  }
  fail(error.code(), error.message(), place, std::move(next));
}

void KerasConfig::check_keys(std::string_view class_name) const {
  const std::string next = "the file is damaged or was not written by Keras 2 or 3: save the model again";
  const auto missing = [&](std::string_view key) {
    refuse('"' + std::string(key) + "\" is missing from its configuration", next);
  };
  for (const Key& key : keys_of(class_name)) {
    const Json* value = json_->find(key.name);
    if (value != nullptr && value->is_null() && !key.null)
      refuse('"' + std::string(key.name) + "\" is null in its configuration", next);
    if (value != nullptr) continue;
    if (key.always) missing(key.name);
    for (const auto& [other, ignored] : json_->as_object()) {
      if (!resembles(other, key.name)) continue;
      refuse('"' + std::string(key.name) + "\" is missing from its configuration, which has \"" + other + '"', next);
    }
  }
  // Keras 3 gave it another name.
  if (class_name == "LeakyReLU" && find("alpha") == nullptr && find("negative_slope") == nullptr)
    missing("negative_slope");
  if (class_name == "Normalization" && (find("mean") == nullptr) != (find("variance") == nullptr))
    missing(find("mean") == nullptr ? "mean" : "variance");
}

void KerasConfig::refuse(const std::string& message, std::string next) const {
  if (next.empty()) next = "replace it by layers that docs/convert.md lists, or export ONNX";
  fail(ErrorCode::import_failed, message, place_, std::move(next));
}

const Json* KerasConfig::find(std::string_view key) const {
  const Json* value = json_->find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string KerasConfig::text(std::string_view key, const char* fallback) const {
  const Json* value = find(key);
  return value == nullptr ? fallback : value->as_string(where(key));
}

std::int64_t KerasConfig::integer(std::string_view key, std::int64_t fallback) const {
  const Json* value = find(key);
  return value == nullptr ? fallback : value->as_int(where(key));
}

double KerasConfig::number(std::string_view key, double fallback) const {
  const Json* value = find(key);
  return value == nullptr ? fallback : value->as_double(where(key));
}

bool KerasConfig::flag(std::string_view key, bool fallback) const {
  const Json* value = find(key);
  return value == nullptr ? fallback : value->as_bool(where(key));
}

std::vector<std::int64_t> KerasConfig::pair(std::string_view key, std::int64_t fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return {fallback, fallback};
  if (value->is_int()) return {value->as_int(), value->as_int()};
  const auto& list = value->as_array(where(key));
  if (list.size() != 2) refuse(std::string(key) + " has " + std::to_string(list.size()) + " numbers, 2 are expected");
  return {list[0].as_int(where(key)), list[1].as_int(where(key))};
}

std::vector<float> KerasConfig::per_channel(std::string_view key, double fallback, std::int64_t channels) const {
  std::vector<float> result;
  const Json* value = find(key);
  if (value == nullptr) {
    result.push_back(static_cast<float>(fallback));
  } else {
    collect(*value, result, 0, where(key));
  }
  if (result.size() == 1) result.assign(static_cast<std::size_t>(channels), result[0]);
  if (result.size() != static_cast<std::size_t>(channels)) {
    refuse(std::string(key) + " has " + std::to_string(result.size()) + " values for " + std::to_string(channels) +
           " channels");
  }
  return result;
}

std::string KerasConfig::padding() const {
  const std::string padding = text("padding", "valid");
  if (padding != "valid" && padding != "same") refuse("padding is \"" + padding + "\", not valid or same");
  return padding;
}

void KerasConfig::need_channels_last() const {
  const std::string format = text("data_format", "channels_last");
  if (format == "channels_last") return;
  if (format != "channels_first") refuse("data_format is \"" + format + "\", not channels_last");
  refuse("has data_format channels_first; only channels_last is read",
         "load the weights into the same model with data_format channels_last and save that");
}

}  // namespace resnet::convert
