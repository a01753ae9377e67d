#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"

namespace resnet::convert {

/// An architecture: the layers of the model file, whose weights name keys of the source. The file format of recipes is
/// in docs/convert.md.
struct Recipe {
  std::string name;
  std::string where;  ///< the file that describes it, or empty
  std::string why;    ///< how it was chosen, for the report
  std::vector<LayerSpec> layers;
  std::string output;
  std::map<std::string, TensorShape> expected;  ///< source shapes where the recipe knows them
  std::int64_t expected_parameters = -1;        ///< trainable, or -1 when the recipe does not say
  std::string preset;                           ///< preset name, or empty
  std::string preprocess_json;                  ///< instead of a preset, or empty
  bool raw_pixels = false;                      ///< instead of both: raw01 or raw255, whichever suits the first layers
  std::vector<std::string> labels;
  std::string note;     ///< printed when not empty
  std::string assumed;  ///< what no tensor told and how to say otherwise, or empty
  /// The source's own name for a weight that is missing, where the tensors were renamed.
  std::function<std::string(const std::string&)> in_source;
};

/// @throws Error bad_header, bad_attribute, unknown_layer naming `where` and the layer
Recipe parse_recipe(std::string_view json, const std::string& where);

/// A weight that the recipe asks for: source key and the role it plays.
struct WantedTensor {
  std::string key;
  std::string layer, op, role;
};
/// In layer order, each key once. @throws Error unknown_layer, bad_graph when two layers use one key in different roles
std::vector<WantedTensor> wanted_tensors(const Recipe& recipe);

/// Makes height and width the network's default input size. @throws Error bad_graph without an input layer
void set_input_size(Recipe& recipe, std::int64_t height, std::int64_t width);

}  // namespace resnet::convert
