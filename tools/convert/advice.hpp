#pragma once

#include "base/check.hpp"

namespace resnet::convert {

/// What `read` returns; an Error of it that has no next step gets this one.
template <class Read>
auto with_advice(const char* next, Read read) {
  try {
    return read();
  } catch (const Error& error) {
    if (!error.next().empty()) throw;
    fail(error.code(), error.message(), error.where(), next);
  }
}

}  // namespace resnet::convert
