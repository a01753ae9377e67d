#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/standard_output.hpp"
#include "infer/options.hpp"
#include "resnet_engine/session.hpp"

namespace resnet::tools {

/// What all results of one run share.
struct RunFacts {
  std::string device, device_reason, precision;
};

/// The text of one classified input in each format (docs/cli.md).
std::string result_text(std::string_view input, std::span<const Prediction> top);
std::string result_json(std::string_view input, std::span<const Prediction> top, const RunFacts& facts);
std::string result_csv(std::string_view input, std::span<const Prediction> top);

/// Prints results one after the other in one of the formats.
class ResultPrinter {
 public:
  ResultPrinter(Format format, StandardOutput& out, RunFacts facts);
  void add(std::string_view input, std::span<const Prediction> top);
  /// Closes the document; without it a JSON array stays open.
  void finish();

 private:
  Format format_;
  StandardOutput& out_;
  RunFacts facts_;
  bool first_ = true;
};

}  // namespace resnet::tools
