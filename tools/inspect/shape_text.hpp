#pragma once

#include <string>

#include "common/json.hpp"

namespace resnet::tools {

/// "1x56x56x64" of [1, 56, 56, 64].
inline std::string shape_text(const Json& shape) {
  std::string text;
  for (const auto& axis : shape.as_array()) text += (text.empty() ? "" : "x") + std::to_string(axis.as_int());
  return text;
}

}  // namespace resnet::tools
