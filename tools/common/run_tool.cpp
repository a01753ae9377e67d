#include "common/run_tool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <system_error>

#include "common/temporary_files.hpp"
#include "common/text.hpp"
#include "common/tool_error.hpp"

namespace resnet::tools {
namespace {

std::string tool_name = "resnet";

constexpr std::array ending_signals{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

void on_signal(int number) {
  remove_temporary_files();
  // The contract is a number, not death by signal: callers other than shells see 130 or 143 as well.
  _exit(128 + number);
}

void install_signal_handlers() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is an error of write(), with its name
  for (const int number : ending_signals) {
    struct sigaction old {};
    // Whoever started us with the signal ignored (nohup, a background job of a script) wants it ignored.
    if (sigaction(number, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    for (const int other : ending_signals) sigaddset(&action.sa_mask, other);
    sigaction(number, &action, nullptr);
  }
}

/// A model or output file opened under the number 1 would be written over by the results.
void open_standard_descriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) != -1) continue;
    const int opened = open("/dev/null", O_RDWR);
    if (opened != descriptor && opened >= 0) {
      dup2(opened, descriptor);
      close(opened);
    }
  }
}

}  // namespace

void report(std::string_view message) {
  const std::string line = tool_name + ": " + printable(message) + "\n";
  std::fputs(line.c_str(), stderr);
}

int run_tool(std::string_view name, int argc, char** argv, ToolMain main) {
  tool_name = name;
  open_standard_descriptors();
  install_signal_handlers();
  ExitCode code = ExitCode::resource;
  try {
    code = main(argc, argv);
  } catch (const UsageError& error) {
    code = error.code();
    report(std::string(error.what()) + "; see " + tool_name + " --help");
  } catch (const ToolError& error) {
    code = error.code();
    report(error.what());
  } catch (const Error& error) {
    code = exit_code_of(error.code());
    report(error.what());
  } catch (const std::bad_alloc&) {
    report("out of memory; try a smaller --batch");
  } catch (const std::exception& error) {
    const auto* const system = dynamic_cast<const std::system_error*>(&error);
    if (system && system->code() == std::errc::resource_unavailable_try_again) {
      report("cannot start a thread; raise ulimit -u (processes) or -v (memory)");
    } else {
      report(std::string("internal error: ") + error.what() + "; please report this as a bug");
    }
  }
  return static_cast<int>(code);
}

}  // namespace resnet::tools
