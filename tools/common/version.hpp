#pragma once

#include <string_view>

namespace resnet::tools {

/// The project's version, for example "0.1.0".
std::string_view version() noexcept;

}  // namespace resnet::tools
