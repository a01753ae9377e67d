#include "inspect/options.hpp"

#include "common/command_line.hpp"
#include "common/tool_error.hpp"
#include "common/version.hpp"

namespace resnet::tools {
namespace {

constexpr const char* examples = R"(
Examples:
  resnet_inspect resnet50.rne                                layers, parameters, memory, chosen implementations
  resnet_inspect resnet50.rne --batch 8 --input-size 288x288  the plan for another size
  resnet_inspect resnet50.rne --json | jq .parameters.total

Exit status: 0 ok; 2 usage; 3 model; 4 memory; 5 device; 129 and up: signal. docs/cli.md describes the JSON.)";

}  // namespace

std::optional<InspectOptions> parse_inspect_options(int argc, char** argv) {
  InspectOptions options;
  std::string precision = "fp32", size;

  CLI::App app("Shows what a model file holds and how it would run.", "resnet_inspect");
  app.footer(examples);
  app.set_version_flag("--version", "resnet_inspect " + std::string(version()));
  app.add_option("MODEL", options.model, "Model file (.rne)")->required()->type_name("FILE");
  app.add_flag("--json", options.json, "Print one JSON object");
  app.add_flag("--graph", options.graph, "Show the graph before and after the passes too");
  app.add_option("--device", options.device, "auto, cpu, cuda, cuda:N or reference; only auto falls back")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--precision", precision, "fp32, tf32, fp16, bf16, int8 or fp8")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--threads", options.threads, "CPU threads; 0 = physical cores")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("--batch", options.batch, "Images per run")->check(CLI::Range(1, 65536))->capture_default_str();
  app.add_option("--input-size", size, "Plan for this size instead of the model's own")->type_name("HxW");

  if (!parse_command_line(app, argc, argv)) return std::nullopt;
  options.precision = parse_precision(precision);
  check_device_name(options.device);
  if (!size.empty()) options.input_size = parse_size(size);
  return options;
}

}  // namespace resnet::tools
