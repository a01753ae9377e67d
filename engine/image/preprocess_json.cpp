// The JSON that the model file keeps under resnet_engine.preprocess.

#include <array>
#include <string>
#include <utility>

#include "base/check.hpp"
#include "base/json.hpp"
#include "image/validate.hpp"
#include "resnet_engine/image.hpp"

namespace resnet {
namespace {

template <class Enum>
using Name = std::pair<Enum, std::string_view>;

constexpr Name<ColorMode> color_names[] = {{ColorMode::rgb, "rgb"}, {ColorMode::gray, "gray"}};
constexpr Name<ChannelOrder> order_names[] = {{ChannelOrder::rgb, "rgb"}, {ChannelOrder::bgr, "bgr"}};
constexpr Name<ResizeMode> resize_names[] = {
    {ResizeMode::none, "none"}, {ResizeMode::short_edge, "short_edge"}, {ResizeMode::exact, "exact"}};
constexpr Name<Filter> filter_names[] = {{Filter::nearest, "nearest"},
                                         {Filter::box, "box"},
                                         {Filter::bilinear, "bilinear"},
                                         {Filter::bicubic, "bicubic"},
                                         {Filter::lanczos, "lanczos"}};

constexpr Name<CropRounding> rounding_names[] = {{CropRounding::even, "even"}, {CropRounding::down, "down"}};

constexpr std::string_view known_fields[] = {"name", "color",         "channel_order", "resize", "size", "filter",
                                             "crop", "crop_rounding", "scale",         "mean",   "std"};

template <class Enum, std::size_t N>
std::string_view name_of(Enum value, const Name<Enum> (&names)[N]) {
  for (const auto& [candidate, name] : names)
    if (candidate == value) return name;
  fail(ErrorCode::invalid_argument, "an enumerator that does not exist", "preprocess");
}

std::string place(std::string_view field) { return "preprocess." + std::string(field); }

[[noreturn]] void bad_field(std::string_view field, std::string message, std::string next) {
  fail(ErrorCode::bad_attribute, std::move(message), place(field), std::move(next));
}

/// Typed members of the object; every error names the field.
class Fields {
 public:
  explicit Fields(const Json& json) : json_(json) {}

  bool has(std::string_view field) const { return json_.find(field) != nullptr; }

  const Json& at(std::string_view field) const {
    const Json* value = json_.find(field);
    if (!value) bad_field(field, "the field is missing", "write the model again");
    return *value;
  }

  std::string text(std::string_view field) const {
    const Json& value = at(field);
    if (!value.is_string()) bad_field(field, "this must be a string", "write the model again");
    return value.as_string(place(field));
  }

  template <class Enum, std::size_t N>
  Enum one_of(std::string_view field, const Name<Enum> (&names)[N]) const {
    const std::string value = text(field);
    std::string known;
    for (const auto& [candidate, name] : names) {
      if (value == name) return candidate;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    bad_field(field, "\"" + value + "\" is unknown", "use one of " + known);
  }

  double number(std::string_view field) const {
    const Json& value = at(field);
    if (!value.is_number()) bad_field(field, "this must be a number", "write the model again");
    return value.as_double(place(field));
  }

  std::vector<double> numbers(std::string_view field) const {
    const Json& value = at(field);
    if (!value.is_array()) bad_field(field, "this must be an array of numbers", "write the model again");
    std::vector<double> result;
    for (const Json& element : value.as_array(place(field))) {
      if (!element.is_number()) bad_field(field, "this must be an array of numbers", "write the model again");
      result.push_back(element.as_double(place(field)));
    }
    return result;
  }

  /// [height, width]
  std::array<std::int64_t, 2> size(std::string_view field) const {
    const Json& value = at(field);
    const bool pair = value.is_array() && value.as_array().size() == 2;
    if (!pair || !value.as_array()[0].is_int() || !value.as_array()[1].is_int()) {
      bad_field(field, "this must be [height, width]", "write the model again");
    }
    return {value.as_array()[0].as_int(place(field)), value.as_array()[1].as_int(place(field))};
  }

 private:
  const Json& json_;
};

void refuse_unknown_fields(const Json& json) {
  for (const auto& [field, value] : json.as_object("preprocess")) {
    bool known = false;
    for (const std::string_view name : known_fields) known = known || field == name;
    if (!known) bad_field(field, "the field is unknown", "use a version of this library that knows it");
  }
}

Json array_of(const std::vector<double>& values) {
  Json array = Json::array();
  for (const double value : values) array.push(value);
  return array;
}

Json size_of_pair(std::int64_t height, std::int64_t width) {
  Json array = Json::array();
  array.push(height);
  array.push(width);
  return array;
}

}  // namespace

std::string Preprocess::to_json() const {
  validate_preprocess(*this);
  Json json = Json::object();
  json.set("name", name.empty() ? std::string("custom") : name);
  json.set("color", name_of(color, color_names));
  json.set("channel_order", name_of(channel_order, order_names));
  json.set("resize", name_of(resize, resize_names));
  if (resize != ResizeMode::none) json.set("size", size_of_pair(resize_h, resize_w));
  json.set("filter", name_of(filter, filter_names));
  json.set("crop", crop ? size_of_pair(crop_h, crop_w) : Json());
  if (crop && crop_rounding != CropRounding::even) json.set("crop_rounding", name_of(crop_rounding, rounding_names));
  json.set("scale", scale);
  json.set("mean", array_of(mean));
  json.set("std", array_of(std));
  return json.dump();
}

Preprocess Preprocess::from_json(std::string_view text) {
  const Json json = parse_json(text, "preprocess");
  refuse_unknown_fields(json);
  const Fields fields(json);
  Preprocess result;
  result.name = fields.has("name") ? fields.text("name") : "custom";
  result.color = fields.one_of("color", color_names);
  if (fields.has("channel_order")) result.channel_order = fields.one_of("channel_order", order_names);
  result.resize = fields.one_of("resize", resize_names);
  if (result.resize != ResizeMode::none) {
    const auto [height, width] = fields.size("size");
    result.resize_h = height;
    result.resize_w = width;
  }
  result.filter = fields.one_of("filter", filter_names);
  result.crop = !fields.at("crop").is_null();
  if (result.crop) {
    const auto [height, width] = fields.size("crop");
    result.crop_h = height;
    result.crop_w = width;
  }
  if (fields.has("crop_rounding")) result.crop_rounding = fields.one_of("crop_rounding", rounding_names);
  result.scale = fields.number("scale");
  result.mean = fields.numbers("mean");
  result.std = fields.numbers("std");
  validate_preprocess(result, ErrorCode::bad_attribute);
  return result;
}

}  // namespace resnet
