#include "bench/options.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "common/command_line.hpp"
#include "common/text.hpp"
#include "common/tool_error.hpp"
#include "common/version.hpp"

namespace resnet::tools {
namespace {

constexpr const char* examples = R"(
Examples:
  resnet_bench -m resnet50.rne --batch 1,8,32                load, first and steady-state time, images/s
  resnet_bench -m resnet50.rne --precision bf16 --layers     where the time goes, layer by layer
  resnet_bench -m resnet50.rne --iterations 100 --json > bench.json
  resnet_bench -m resnet50.rne --batch 1,8 --tune times.json  time every implementation, for --times times.json

Exit status: 0 ok; 2 usage; 3 model; 4 memory; 5 device; 129 and up: signal. docs/cli.md describes the JSON.)";

/// "1,8,32" -> the numbers, at the end of `batches`.
void add_batches(std::string_view text, std::vector<std::int64_t>& batches) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data() + begin, text.data() + end, value);
    if (read.ec != std::errc() || read.ptr != text.data() + end || value < 1 || value > 65536) {
      throw UsageError("--batch " + std::string(text) + ": expected numbers from 1 to 65536, separated by commas");
    }
    batches.push_back(value);
    begin = end + 1;
  }
}

}  // namespace

std::optional<BenchOptions> parse_bench_options(int argc, char** argv) {
  BenchOptions options;
  std::string size;
  SessionArguments session;
  std::vector<std::string> batches{"1"};

  CLI::App app("Measures a model on this machine with made-up input.", "resnet_bench");
  app.footer(examples);
  app.set_version_flag("--version", "resnet_bench " + std::string(version()));
  app.add_option("-m,--model", options.model, "Model file (.rne)")->required()->type_name("FILE");
  app.add_option("--batch", batches, "Images per run, several separated by commas")
      ->allow_extra_args(false)
      ->capture_default_str()
      ->type_name("N,...");
  add_session_options(app, session);
  app.add_option("--input-size", size, "Another input size than the model's own")->type_name("HxW");
  app.add_option("--seconds", options.seconds, "Measured time per batch size, at least 5 runs")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  app.add_option("--iterations", options.iterations, "Measured runs per batch size, instead of --seconds")
      ->check(CLI::Range(1, 100'000'000));
  app.add_option("--warmup", options.warmup, "Runs before the measured ones, after the first")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  app.add_flag("--layers", options.layers, "Time every step and print its GFLOP/s");
  app.add_option("--tune", options.tune, "Time every implementation and add the times to this file, for --times")
      ->type_name("FILE");
  app.add_flag("--json", options.json, "Print one JSON object");

  if (!parse_command_line(app, argc, argv)) return std::nullopt;
  options.session = session.options();
  options.batches.clear();
  for (const auto& text : batches) add_batches(text, options.batches);
  if (!std::isfinite(options.seconds)) throw UsageError("--seconds: expected a number from 0 to 86400");
  if (!options.tune.empty() && (options.layers || !session.times.empty()))
    throw UsageError("--tune goes neither with --layers nor with --times");
  for (int i = 0; i < argc; ++i) options.command += (i > 0 ? " " : "") + to_utf8(argv[i]);
  options.command.resize(std::min<std::size_t>(options.command.size(), 2048));
  options.command = to_utf8(options.command);  // the cut may have split a character
  if (!size.empty()) options.input_size = parse_size(size);
  return options;
}

}  // namespace resnet::tools
