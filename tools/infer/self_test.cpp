#include "infer/self_test.hpp"

#include <string>
#include <string_view>

#include "common/command_line.hpp"
#include "common/run_tool.hpp"
#include "common/standard_output.hpp"
#include "common/text.hpp"
#include "resnet_engine/device.hpp"

namespace resnet::tools {

bool wants_self_test(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") return false;
    if (argument == "--self-test") return true;
  }
  return false;
}

ExitCode infer_self_test(int argc, char** argv) {
  std::string device = "auto";
  bool asked = false;
  CLI::App app("Runs the self-tests of a device's kernels.", "resnet_infer");
  app.add_flag("--self-test", asked, "Run the self-tests, print their results and end");
  app.add_option("--device", device, "auto, cpu, cuda, cuda:N or reference")->capture_default_str()->type_name("NAME");
  if (!parse_command_line(app, argc, argv)) return ExitCode::ok;
  check_device_name(device);

  const auto reports = run_self_tests(device);
  StandardOutput out;
  ExitCode code = ExitCode::ok;
  if (reports.empty()) {
    out.write("nothing to test on " + device +
              ": its kernels are a library's or the reference loops; GPUs have self-tests\n");
  } else {
    Table table({"kernel", ">cases", "result"});
    for (const SelfTestReport& report : reports) {
      std::string result = report.passed ? "passed" : "FAILED: " + printable(report.failure);
      if (report.passed && report.cases == 0) result = "not reached: no layer of a network needs it here";
      table.row({report.implementation, std::to_string(report.cases), result});
      if (!report.passed) code = ExitCode::device;
    }
    out.write(table.text());
  }
  out.flush();
  if (code != ExitCode::ok) report("a kernel failed its self-test; sessions do not use it. Please report this");
  return code;
}

}  // namespace resnet::tools
