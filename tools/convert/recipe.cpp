#include "convert/recipe.hpp"

#include <utility>

#include "base/check.hpp"
#include "base/json.hpp"
#include "convert/advice.hpp"
#include "model/graph_json.hpp"

namespace resnet::convert {

namespace {

Recipe parse(std::string_view json, const std::string& where) {
  const Json root = parse_json(json, where);
  Recipe recipe;
  Json graph = Json::object();  // the two members that a model file has too
  for (const auto& [key, value] : root.as_object(where)) {
    if (key == "name") {
      recipe.name = value.as_string(where + ": name");
    } else if (key == "description") {
      value.as_string(where + ": description");
    } else if (key == "output") {
      graph.set(key, value.as_string(where + ": output"));
    } else if (key == "parameters") {
      recipe.expected_parameters = value.as_int(where + ": parameters");
      if (recipe.expected_parameters < 0) {
        fail(ErrorCode::bad_header, std::to_string(recipe.expected_parameters) + " is negative", where + ": parameters",
             "give the number of trainable values, or leave it out");
      }
    } else if (key == "preprocess") {
      if (value.is_string()) {
        recipe.preset = value.as_string();
      } else {
        value.as_object(where + ": preprocess");
        recipe.preprocess_json = value.dump();
      }
    } else if (key == "labels") {
      for (const Json& label : value.as_array(where)) recipe.labels.push_back(label.as_string(where + ": labels"));
    } else if (key == "layers") {
      graph.set(key, value.as_array(where + ": layers"));
    } else {
      fail(ErrorCode::bad_header, "unknown field \"" + key + '"', where,
           "known: name, description, layers, output, parameters, preprocess, labels");
    }
  }
  LayerList list = parse_layers(graph.dump(), where);
  recipe.layers = std::move(list.layers);
  recipe.output = std::move(list.output);
  if (recipe.name.empty()) recipe.name = where;
  recipe.where = where;
  return recipe;
}

std::string place_of(const Recipe& recipe, const LayerSpec& layer) {
  return (recipe.where.empty() ? "" : recipe.where + ": ") + "layer \"" + layer.name + '"';
}

}  // namespace

Recipe parse_recipe(std::string_view json, const std::string& where) {
  return with_advice("docs/convert.md describes recipes", [&] { return parse(json, where); });
}

std::vector<WantedTensor> wanted_tensors(const Recipe& recipe) {
  std::vector<WantedTensor> wanted;
  std::map<std::string_view, std::size_t> seen;
  wanted.reserve(recipe.layers.size() * 4);
  for (const LayerSpec& layer : recipe.layers) {
    const OpDef* op = find_op(layer.op);
    if (op == nullptr) {
      fail(ErrorCode::unknown_layer, "unknown op \"" + layer.op + '"', place_of(recipe, layer),
           "docs/format.md lists the ops");
    }
    std::size_t known = 0;
    for (const WeightSpec& spec : op->weights) {
      const auto weight = layer.weights.find(spec.role);
      if (weight == layer.weights.end()) continue;
      ++known;
      const auto [place, added] = seen.emplace(weight->second, wanted.size());
      if (added) {
        wanted.push_back({weight->second, layer.name, layer.op, std::string(spec.role)});
      } else if (wanted[place->second].op != layer.op || wanted[place->second].role != spec.role) {
        fail(ErrorCode::bad_graph,
             "\"" + weight->second + "\" is also the " + wanted[place->second].role + " of layer \"" +
                 wanted[place->second].layer + '"',
             place_of(recipe, layer), "only layers of one op may share a tensor, in one role");
      }
    }
    if (known != layer.weights.size()) {
      std::string roles;
      for (const WeightSpec& spec : op->weights) roles += (roles.empty() ? "" : ", ") + std::string(spec.role);
      fail(ErrorCode::bad_attribute, "has a weight that " + layer.op + " does not take", place_of(recipe, layer),
           roles.empty() ? "it takes none" : "it takes " + roles);
    }
  }
  return wanted;
}

void set_input_size(Recipe& recipe, std::int64_t height, std::int64_t width) {
  for (LayerSpec& layer : recipe.layers) {
    if (layer.op != "input") continue;
    layer.attrs["height"] = height;
    layer.attrs["width"] = width;
    return;
  }
  fail(ErrorCode::bad_graph, "has no input layer", recipe.where.empty() ? recipe.name : recipe.where,
       "add a layer of the op input");
}

}  // namespace resnet::convert
