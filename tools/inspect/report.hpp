#pragma once

#include <string>

#include "common/json.hpp"

namespace resnet::tools {

/// Model::describe_json().
Json model_part(const std::string& model_json);

/// One object from Model::describe_json() and Session::describe_json(): the model's members, `memory` from the session,
/// and the rest of the session under `plan`.
Json inspection(const std::string& model_json, const std::string& session_json);

/// The same for people. `graph` adds the graph before and after the passes.
std::string inspection_text(const std::string& path, const Json& inspection, bool graph);

}  // namespace resnet::tools
