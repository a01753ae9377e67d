#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convert/recognise.hpp"
#include "convert/source_file.hpp"

namespace resnet::convert {

/// What the files beside the weights say: config.json of timm or of Hugging Face's ResNetForImageClassification, and
/// preprocessor_config.json.
struct SourceConfig {
  std::optional<ConfiguredNet> net;
  std::int64_t label_offset = 0;       ///< leading classes to leave out (timm)
  std::vector<std::string> labels;     ///< in index order, or empty
  bool imagenet = false;               ///< trained for ImageNet's 1000 classes, in their usual order
  std::string preprocess_json;         ///< or empty
  std::string preprocess_refusal;      ///< why the preprocessing cannot be taken, or empty
  std::int64_t height = 0, width = 0;  ///< of the network's input, or 0
  std::vector<std::string> notes;
};

/// @throws Error bad_header for malformed files, import_failed for networks that cannot be converted, with the file
SourceConfig read_source_config(const SourceFiles& files);

}  // namespace resnet::convert
