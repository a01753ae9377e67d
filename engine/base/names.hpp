#pragma once

#include <span>
#include <string>
#include <string_view>

namespace resnet {

/// What `name` was meant to be. A block's name ("layer4") stands for the last candidate in it ("layer4.2.relu"); else a
/// candidate that begins with `name` is preferred; else the smallest edit distance counts, the first among equals.
/// Empty when there is no candidate.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace resnet
