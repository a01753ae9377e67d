#pragma once

#include <string>

#include "common/json.hpp"
#include "verify/verify.hpp"

namespace resnet::tools {

/// For people: a row per value, then the verdict.
std::string verify_text(const VerifyOptions& options, const Verification& result);

/// The same for programs (docs/cli.md). Numbers that are not finite are null.
Json verify_json(const VerifyOptions& options, const Verification& result);

}  // namespace resnet::tools
