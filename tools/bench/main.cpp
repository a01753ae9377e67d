#include "bench/measure.hpp"
#include "bench/options.hpp"
#include "bench/report.hpp"
#include "bench/tune.hpp"
#include "common/run_tool.hpp"
#include "common/standard_output.hpp"

namespace resnet::tools {
namespace {

ExitCode bench(int argc, char** argv) {
  const auto options = parse_bench_options(argc, argv);
  if (!options) return ExitCode::ok;
  if (!options->tune.empty()) {
    const std::string text = tune(*options);
    StandardOutput out;
    out.write(text);
    out.flush();
    return ExitCode::ok;
  }
  const Measurement measurement = measure(*options);
  StandardOutput out;
  out.write(options->json ? bench_json(*options, measurement).dump(2) + "\n" : bench_text(*options, measurement));
  out.flush();
  return ExitCode::ok;
}

}  // namespace
}  // namespace resnet::tools

int main(int argc, char** argv) { return resnet::tools::run_tool("resnet_bench", argc, argv, resnet::tools::bench); }
