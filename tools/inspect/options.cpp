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
  resnet_inspect resnet50.rne --device-info sm_90,132 --precision bf16   the plan for an H100, without one
  resnet_inspect resnet50.rne --json | jq .parameters.total
  resnet_inspect resnet50.rne --dot | dot -Tsvg -o resnet50.svg
  resnet_inspect resnet50.rne --memory-svg > memory.svg

Exit status: 0 ok; 2 usage; 3 model; 4 memory; 5 device; 129 and up: signal. docs/cli.md describes the JSON.)";

}  // namespace

std::optional<InspectOptions> parse_inspect_options(int argc, char** argv) {
  InspectOptions options;
  std::string size;
  SessionArguments session;

  CLI::App app("Shows what a model file holds and how it would run.", "resnet_inspect");
  app.footer(examples);
  app.set_version_flag("--version", "resnet_inspect " + std::string(version()));
  app.add_option("MODEL", options.model, "Model file (.rne)")->required()->type_name("FILE");
  CLI::Option* const json = app.add_flag("--json", options.json, "Print one JSON object");
  CLI::Option* const dot = app.add_flag("--dot", options.dot, "Print the layers as a graph for Graphviz");
  dot->excludes(json);
  app.add_flag("--memory-svg", options.memory_svg, "Print the memory plan over time as a picture (SVG)")
      ->excludes(json)
      ->excludes(dot);
  app.add_flag("--graph", options.graph, "Show the graph before and after the passes too")->excludes(dot);
  add_session_options(app, session);
  app.add_option("--device-info", options.device_info,
                 "Plan for a GPU that is not there: architecture, multiprocessors and, if given, GB/s of its memory")
      ->excludes("--device")
      ->type_name("sm_NN,COUNT[,GB/s]");
  app.add_option("--batch", options.batch, "Images per run")->check(CLI::Range(1, 65536))->capture_default_str();
  app.add_option("--input-size", size, "Plan for this size instead of the model's own")->type_name("HxW");

  if (!parse_command_line(app, argc, argv)) return std::nullopt;
  options.session = session.options();
  if (!size.empty()) options.input_size = parse_size(size);
  return options;
}

}  // namespace resnet::tools
