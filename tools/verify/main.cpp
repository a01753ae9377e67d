#include "common/run_tool.hpp"
#include "common/standard_output.hpp"
#include "verify/options.hpp"
#include "verify/report.hpp"
#include "verify/verify.hpp"

namespace resnet::tools {
namespace {

ExitCode verify_model(int argc, char** argv) {
  const auto options = parse_verify_options(argc, argv);
  if (!options) return ExitCode::ok;
  const Verification result = verify(*options);
  StandardOutput out;
  out.write(options->json ? verify_json(*options, result).dump(2) + "\n" : verify_text(*options, result));
  out.flush();
  return result.first_past(options->tolerance) ? ExitCode::input_failed : ExitCode::ok;
}

}  // namespace
}  // namespace resnet::tools

int main(int argc, char** argv) {
  return resnet::tools::run_tool("resnet_verify", argc, argv, resnet::tools::verify_model);
}
