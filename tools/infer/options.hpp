#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "resnet_engine/session.hpp"

namespace resnet::tools {

enum class Format : std::uint8_t { text, json, jsonl, csv };

/// The command line of resnet_infer, checked as far as it can be without opening a file.
struct InferOptions {
  std::string model;
  std::vector<std::string> inputs;
  int top = 5;
  Format format = Format::text;
  SessionOptions session;
  std::int64_t batch = 8;
  std::string preset;
  bool exif = false;
  std::string save_output, save_input;
  std::vector<std::pair<std::string, std::string>> save;  ///< layer, file

  /// The files that --save-output, --save-input and --save name.
  std::vector<std::string> outputs() const;
};

/// @return nothing when --help or --version was asked for and printed. @throws UsageError
std::optional<InferOptions> parse_infer_options(int argc, char** argv);

}  // namespace resnet::tools
