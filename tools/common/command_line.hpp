#pragma once

#include <CLI/CLI.hpp>
#include <iostream>

#include "common/session_choice.hpp"
#include "common/tool_error.hpp"

namespace resnet::tools {

/// The options that choose device, arithmetic and implementations.
inline void add_session_options(CLI::App& app, SessionArguments& session) {
  app.add_option("--device", session.device, "auto, cpu, cuda, cuda:N or reference; only auto falls back")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--precision", session.precision, "fp32, tf32, fp16, bf16, int8 or fp8")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--layer-precision", session.layer_precision, "Another precision for one layer; may be repeated")
      ->allow_extra_args(false)
      ->type_name("LAYER=NAME");
  app.add_option("--threads", session.threads, "CPU threads; 0 = physical cores")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("--force-impl", session.force, "Take this implementation wherever it can; may be repeated")
      ->allow_extra_args(false)
      ->type_name("NAME");
  app.add_option("--forbid-impl", session.forbid, "Never take this implementation; may be repeated")
      ->allow_extra_args(false)
      ->type_name("NAME");
  app.add_option("--times", session.times, "Choose by the measured times in this file (resnet_bench --tune writes it)")
      ->type_name("FILE");
}

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
