#pragma once

#include <new>
#include <stdexcept>
#include <string_view>

#include "base/check.hpp"

namespace resnet {

[[noreturn]] inline void fail_out_of_memory(std::string_view where) {
  fail(ErrorCode::out_of_memory, "not enough memory for the picture", where, "free memory or use smaller pictures");
}

/// Runs `action`; a failed allocation of the standard library becomes Error out_of_memory, so that callers see one
/// type.
template <class Action>
auto with_memory_errors(std::string_view where, Action&& action) {
  try {
    return action();
  } catch (const std::bad_alloc&) {
    fail_out_of_memory(where);
  } catch (const std::length_error&) {
    fail_out_of_memory(where);
  }
}

}  // namespace resnet
