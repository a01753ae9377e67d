#pragma once

#include <string>
#include <string_view>

#include "resnet_engine/error.hpp"

namespace resnet {

/// Throws Error. The one way in which the library fails.
[[noreturn]] inline void fail(ErrorCode code, std::string message, std::string_view where = {}, std::string next = {}) {
  throw Error(code, std::move(message), std::string(where), std::move(next));
}

/// Throws Error internal when a condition that this library itself guarantees does not hold.
inline void ensure(bool condition, std::string_view what) {
  if (!condition) fail(ErrorCode::internal, std::string(what), "internal check", "please report this as a bug");
}

}  // namespace resnet
