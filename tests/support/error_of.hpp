#pragma once

#include <gtest/gtest.h>

#include "resnet_engine/error.hpp"

namespace resnet::test {

/// The error that a call throws. Fails the test when it throws none.
template <class Call>
Error error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::internal, "no error was thrown");
}

}  // namespace resnet::test
