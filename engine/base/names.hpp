#pragma once

#include <span>
#include <string>
#include <string_view>

namespace resnet {

/// The candidate with the smallest edit distance to `name`, the first among equals; empty when there is none.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace resnet
