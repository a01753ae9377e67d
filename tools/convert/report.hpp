#pragma once

#include <string>
#include <string_view>

#include "base/json.hpp"

namespace resnet::convert {

struct ReportOptions {
  bool verbose = false;       ///< the whole mapping
  bool preset_given = false;  ///< --preset was used
  bool labels_given = false;  ///< --labels was used
};

/// What the tool prints about a conversion (Converted::report). Text from the file is made printable: it comes from an
/// untrusted source and goes to a terminal.
std::string format_report(const Json& report, std::string_view source, const ReportOptions& options);

}  // namespace resnet::convert
