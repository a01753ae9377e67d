#include "verify/options.hpp"

#include <cmath>

#include "common/command_line.hpp"
#include "common/tool_error.hpp"
#include "common/version.hpp"

namespace resnet::tools {
namespace {

constexpr const char* examples = R"(
Examples:
  resnet_verify resnet50.rne --input x.npy --expected y.npy    equal to what the framework computed?
  resnet_verify resnet50.rne --against reference --layers      this CPU's fast code against plain loops, layer by layer
  resnet_verify resnet50.rne --device cuda --precision bf16 --against cpu --input x.npy

docs/verify.md has the lines that save x.npy and y.npy from Keras, PyTorch, timm, Hugging Face and ONNX Runtime.
Exit status: 0 equal within the tolerance; 1 not; 2 usage; 3 model or array; 4 memory; 5 device; 129 and up: signal.)";

/// What rounding operands to this precision costs at most over a deep network, with room for the order of sums.
double usual_tolerance(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return 1e-5;
    case Precision::tf32:
    case Precision::fp16:
      return 5e-3;
    default:
      return 4e-2;
  }
}

Layout parse_layout(const std::string& name) {
  if (name == "nchw") return Layout::nchw;
  if (name == "nhwc") return Layout::nhwc;
  throw UsageError("--layout " + name + ": expected nchw or nhwc");
}

}  // namespace

std::optional<VerifyOptions> parse_verify_options(int argc, char** argv) {
  VerifyOptions options;
  std::string layout;
  std::optional<double> tolerance;
  SessionArguments session;

  CLI::App app("Compares a model's results with expected ones, or with those of another device.", "resnet_verify");
  app.footer(examples);
  app.set_version_flag("--version", "resnet_verify " + std::string(version()));
  app.add_option("MODEL", options.model, "Model file (.rne)")->required()->type_name("FILE");
  app.add_option("--input", options.input,
                 "Preprocessed tensor N x C x H x W or N x H x W x C; without it one image of made-up values")
      ->type_name("FILE.npy");
  app.add_option("--layout", layout, "nchw or nhwc, where the array's shape leaves it open")->type_name("NAME");
  CLI::Option* const expected =
      app.add_option("--expected", options.expected, "The output that the source gives for --input, N x K")
          ->type_name("FILE.npy");
  app.add_option("--against", options.against, "Compare with this device in fp32: reference, cpu, cuda or cuda:N")
      ->excludes(expected)
      ->type_name("NAME");
  app.add_flag("--layers", options.layers, "Every step's values too, with --against");
  app.add_option("--tolerance", tolerance, "Largest relative L2 difference (fp32 1e-5, tf32 and fp16 5e-3, bf16 4e-2)")
      ->type_name("X");
  app.add_flag("--json", options.json, "Print one JSON object");
  add_session_options(app, session);

  if (!parse_command_line(app, argc, argv)) return std::nullopt;
  options.session = session.options();
  if (!layout.empty()) options.layout = parse_layout(layout);
  if (options.expected.empty() && options.against.empty())
    throw UsageError("nothing to compare with: name --expected FILE.npy or --against DEVICE");
  if (!options.expected.empty() && options.input.empty()) throw UsageError("--expected goes with --input");
  if (options.layers && options.against.empty()) throw UsageError("--layers goes with --against");
  if (options.against == "auto") throw UsageError("--against auto: name the device");
  if (!options.against.empty()) check_device_name(options.against, "--against");
  options.tolerance = tolerance.value_or(usual_tolerance(options.session.precision));
  if (!std::isfinite(options.tolerance) || options.tolerance < 0)
    throw UsageError("--tolerance: expected a number from 0 on");
  return options;
}

}  // namespace resnet::tools
