#pragma once

#include <span>
#include <string_view>

namespace resnet::convert {

/// A text file of models/ that was compiled in.
struct EmbeddedText {
  std::string_view name;  ///< file name without folder and suffix
  std::string_view text;
};

/// models/recipes/*.json, by name.
std::span<const EmbeddedText> embedded_recipes();
/// models/labels/imagenet1k.txt: 1000 lines.
std::string_view embedded_imagenet_labels();

}  // namespace resnet::convert
