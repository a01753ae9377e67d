#pragma once

#include <string>

#include "common/json.hpp"

namespace resnet::tools {

/// The layers of the model file as a graph in Graphviz' dot language: a box per layer with its op, what tells it apart
/// and its parameters; an edge per input with the size of the value.
/// @param model Model::describe_json(), or an inspection
std::string dot_text(const std::string& path, const Json& model);

}  // namespace resnet::tools
