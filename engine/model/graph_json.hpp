#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "graph/graph.hpp"

namespace resnet {

/// The layer list as the text of `resnet_engine.graph` gives it, before build_graph() validates it.
struct LayerList {
  std::vector<LayerSpec> layers;
  std::string output;
};

/// Strict: only the documented keys, each of its documented type.
/// @throws Error bad_header (not the documented JSON), bad_attribute (an attribute of no known type), limit_exceeded
LayerList parse_layers(std::string_view text, std::string_view where);

/// The same text for the same layers; parse_layers(layers_to_json(l)) gives l back.
/// @throws Error bad_attribute for a number that is NaN or infinite
std::string layers_to_json(const std::vector<LayerSpec>& layers, const std::string& output);

}  // namespace resnet
