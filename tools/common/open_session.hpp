#pragma once

#include "common/session_choice.hpp"

namespace resnet::tools {

/// A session with errors in the tools' words. Inline: the common archive itself names no engine library.
inline Session open_session(const Model& model, const SessionOptions& options) {
  try {
    return Session(model, options);
  } catch (const Error& error) {
    throw in_option_words(error);
  }
}

}  // namespace resnet::tools
