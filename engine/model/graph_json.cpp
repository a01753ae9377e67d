#include "model/graph_json.hpp"

#include <cmath>

#include "base/check.hpp"
#include "model/model_file.hpp"
#include "model/text.hpp"

namespace resnet {
namespace {

[[noreturn]] void bad_value(const std::string& layer, std::string_view attribute) {
  fail(ErrorCode::bad_attribute,
       "attribute " + quoted(attribute) + " is neither true or false, a number, a string nor a list of integers",
       layer);
}

AttrValue parse_attribute(const Json& json, const std::string& layer, std::string_view name) {
  if (json.is_bool()) return json.as_bool();
  if (json.is_int()) return json.as_int();
  if (json.is_number()) return json.as_double();
  if (json.is_string()) return json.as_string();
  if (!json.is_array()) bad_value(layer, name);
  std::vector<std::int64_t> integers;
  for (const Json& element : json.as_array()) {
    if (!element.is_int()) bad_value(layer, name);
    integers.push_back(element.as_int());
  }
  return integers;
}

const std::string& parse_name(const Json& json, const std::string& where) {
  const std::string& name = json.as_string(where);
  check_name(name, where);
  return name;
}

LayerSpec parse_layer(const Json& json, std::size_t index, std::string_view where) {
  std::string layer = std::string(where) + ": layer number " + std::to_string(index);
  LayerSpec spec;
  spec.name = parse_name(json.at("name", layer), layer);
  layer = place(where, "layer", spec.name);
  spec.op = parse_name(json.at("op", layer), layer);
  for (const auto& [key, value] : json.as_object()) {
    if (key == "inputs") {
      for (const Json& input : value.as_array(layer)) spec.inputs.push_back(parse_name(input, layer));
    } else if (key == "attrs") {
      for (const auto& [name, attribute] : value.as_object(layer)) {
        check_name(name, layer);
        spec.attrs.emplace(name, parse_attribute(attribute, layer, name));
      }
    } else if (key == "weights") {
      for (const auto& [role, tensor] : value.as_object(layer)) {
        check_name(role, layer);
        spec.weights.emplace(role, parse_name(tensor, layer));
      }
    } else if (key != "name" && key != "op") {
      fail(ErrorCode::bad_header, "unknown key " + quoted(key), layer);
    }
  }
  return spec;
}

struct AttributeToJson {
  const std::string& layer;
  std::string_view name;

  Json operator()(bool value) const { return value; }
  Json operator()(std::int64_t value) const { return value; }
  Json operator()(double value) const {
    if (!std::isfinite(value)) fail(ErrorCode::bad_attribute, "attribute " + quoted(name) + " is not finite", layer);
    return value;
  }
  Json operator()(const std::string& value) const { return value; }
  Json operator()(const std::vector<std::int64_t>& value) const { return Json::Array(value.begin(), value.end()); }
};

Json layer_to_json(const LayerSpec& spec) {
  Json::Object json{{"name", spec.name}, {"op", spec.op}};
  if (!spec.inputs.empty()) json.emplace_back("inputs", Json::Array(spec.inputs.begin(), spec.inputs.end()));
  if (!spec.attrs.empty()) {
    Json::Object attrs;
    for (const auto& [name, value] : spec.attrs) {
      attrs.emplace_back(name, std::visit(AttributeToJson{spec.name, name}, value));
    }
    json.emplace_back("attrs", std::move(attrs));
  }
  if (!spec.weights.empty()) {
    json.emplace_back("weights", Json::Object(spec.weights.begin(), spec.weights.end()));
  }
  return json;
}

}  // namespace

LayerList parse_layers(std::string_view text, std::string_view where) {
  const Json json = parse_json(text, where, {max_json_values, max_json_depth});
  for (const auto& [key, value] : json.as_object(where)) {
    if (key != "output" && key != "layers") fail(ErrorCode::bad_header, "unknown key " + quoted(key), where);
  }
  LayerList list;
  list.output = parse_name(json.at("output", where), std::string(where));
  const Json::Array& layers = json.at("layers", where).as_array(where);
  if (layers.size() > max_layers) {
    fail(ErrorCode::limit_exceeded, std::to_string(layers.size()) + " layers, at most " + std::to_string(max_layers),
         where);
  }
  list.layers.reserve(layers.size());
  for (const Json& layer : layers) list.layers.push_back(parse_layer(layer, list.layers.size(), where));
  return list;
}

std::string layers_to_json(const std::vector<LayerSpec>& layers, const std::string& output) {
  Json::Array list;
  for (const LayerSpec& layer : layers) list.push_back(layer_to_json(layer));
  return Json(Json::Object{{"output", output}, {"layers", std::move(list)}}).dump();
}

}  // namespace resnet
