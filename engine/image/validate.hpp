#pragma once

#include "base/check.hpp"
#include "resnet_engine/image.hpp"

namespace resnet {

/// Checks ranges and lengths. @throws Error `code` whose place is "preprocess.<field>"
void validate_preprocess(const Preprocess& preprocess, ErrorCode code = ErrorCode::invalid_argument);

}  // namespace resnet
