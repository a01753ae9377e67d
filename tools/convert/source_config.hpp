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
  std::string offset_where;            ///< file and key that say so
  std::vector<std::string> labels;     ///< in index order, or empty
  std::string labels_where;            ///< file and key that list them
  bool imagenet = false;               ///< trained for ImageNet's 1000 classes, in their usual order
  std::string preprocess_json;         ///< or empty
  std::string preprocess_where;        ///< the file (and key) that it is from
  std::string preprocess_refusal;      ///< why the preprocessing cannot be taken, or empty
  std::int64_t height = 0, width = 0;  ///< of the network's input, or 0
  std::vector<std::string> notes;
};

/// The next step where a configuration cannot be used.
inline constexpr const char* leave_configuration =
    "fetch it again, or convert the weight file alone from another folder";

/// @throws Error bad_header for malformed files, import_failed for networks that cannot be converted, io for files that
/// cannot be read; with the file, the key and the next step
SourceConfig read_source_config(const SourceFiles& files);

}  // namespace resnet::convert
