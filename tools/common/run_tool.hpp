#pragma once

#include <string>
#include <string_view>

#include "common/exit_code.hpp"

namespace resnet::tools {

using ToolMain = ExitCode (*)(int argc, char** argv);

/// The outermost frame of every tool: makes sure that descriptors 0 to 2 are open, turns a closed pipe
/// and a file that grows too large into write errors instead of signals, removes temporary files on SIGHUP, SIGINT,
/// SIGQUIT and SIGTERM (exit codes 129, 130, 131 and 143), and prints one line to stderr for every exception that
/// leaves `main`. @return the process's exit code
int run_tool(std::string_view name, int argc, char** argv, ToolMain main);

/// Prints "<tool>: <message>" on stderr as one line, control characters made visible.
void report(std::string_view message);

}  // namespace resnet::tools
