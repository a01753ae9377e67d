#pragma once

#include <CLI/CLI.hpp>
#include <iostream>

#include "common/tool_error.hpp"

namespace resnet::tools {

/// Parses the arguments into what `app` is bound to. An option or argument whose value is empty (an unset variable in a
/// script) is refused.
/// @return false when --help or --version was asked for and printed. @throws UsageError
inline bool parse_command_line(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    app.exit(asked);
    std::cout.flush();
    return false;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& value : option->results()) {
      if (value.empty()) throw UsageError(option->get_name() + ": the value is empty");
    }
  }
  return true;
}

}  // namespace resnet::tools
