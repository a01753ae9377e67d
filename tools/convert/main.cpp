// resnet_convert SOURCE -o MODEL.rne: weights of another program in, one checked model file out.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "common/command_line.hpp"
#include "common/exit_code.hpp"
#include "common/npy.hpp"
#include "common/run_tool.hpp"
#include "common/same_file.hpp"
#include "common/standard_output.hpp"
#include "common/text.hpp"
#include "common/tool_error.hpp"
#include "common/version.hpp"
#include "convert/command.hpp"
#include "verify/report.hpp"
#include "verify/verify.hpp"

namespace {

using resnet::tools::ExitCode;

constexpr const char* examples = R"(Examples:
  resnet_convert resnet50-11ad3fa6.pth -o resnet50.rne
  resnet_convert torchvision:resnet18 -o resnet18.rne
  resnet_convert finetuned.safetensors --labels flowers.txt --preset torchvision -o flowers.rne
  resnet_convert hub/microsoft--resnet-50/ -o resnet50.rne
  resnet_convert blur.pth --arch resnetblur50 -o blur.rne
  resnet_convert old.pth --arch resnet,stride=1x1 -o old.rne
  resnet_convert checkpoint.pth --map renames.txt --arch resnet34 --input-size 320x320 -o large.rne
  resnet_convert weights.safetensors --arch recipe.json -o model.rne
  resnet_convert model.keras -o model.rne --verify x.npy y.npy
  resnet_convert model.weights.h5 --arch architecture.json -o model.rne
  resnet_convert model.onnx -o model.rne

SOURCE is a PyTorch file (.pth, .pt, .bin: a state dict), a safetensors file, or a folder with config.json as timm and
Hugging Face save it, of any ResNet under torchvision's, timm's, Hugging Face's or tutorials' key names, or a recipe's; a
Keras model (.keras, .h5) or its weights; or an ONNX model (.onnx, operators of version 7 to 23). It is read in a child
process with limited rights; nothing in it is executed.
--arch NAME may be followed by answers to what tensors cannot tell: stride=1x1|3x3 (of bottlenecks), aa=none|blur|average,
stem=cifar|imagenet|deep, shortcut=pool|conv, first_stride=1|2, pool=max|none, head=relu (ReLU between the dense layers of
a head of several); NAME resnet is any ResNet. The report lists what was assumed.
Exit codes: 0 written, 1 written but --verify differs, 2 usage, 3 source missing or rejected, 4 out of memory or output not writable.)";

constexpr double tolerance = 1e-5;  // relative L2 in fp32, as resnet_verify

/// What resnet_verify MODEL --input X --expected Y says. @return whether they are equal
bool verify(const std::string& model, const std::vector<std::string>& arrays, std::string& report) {
  resnet::tools::VerifyOptions options;
  options.model = model;
  options.input = arrays[0];
  options.expected = arrays[1];
  options.tolerance = tolerance;
  const resnet::tools::Verification result = resnet::tools::verify(options);
  report += resnet::tools::verify_text(options, result);
  return result.first_past(tolerance) == nullptr;
}

ExitCode convert_main(int argc, char** argv) {
  resnet::convert::Command command;
  std::vector<std::string> arrays;
  bool quiet = false;
  CLI::App app("Converts trained weights of a ResNet into a model file (.rne)", "resnet_convert");
  app.set_version_flag("--version", "resnet_convert " + std::string(resnet::tools::version()));
  app.footer(examples);
  app.add_option("SOURCE", command.source, "weight file, hub folder, torchvision:NAME, or a recipe with --weights")
      ->required();
  app.add_option("-o,--output", command.output, "model file to write; replaced only when everything went well")
      ->required();
  app.add_option("--arch", command.arch,
                 "auto (default), a torchvision or timm name such as resnet50d, resnet,ANSWER..., or a recipe (.json)");
  app.add_option("--weights", command.weights, "weight file when SOURCE is a recipe");
  app.add_option("--map", command.map, "file of lines \"pattern -> name\" that rename source keys; \"-\" drops one");
  app.add_option("--preset", command.preset, "how pictures become input: " + resnet::convert::preset_list());
  app.add_option("--labels", command.labels, "text file with one class name per line");
  app.add_option("--input-size", command.input_size,
                 "HxW of the network's input; the resize edge scales in proportion");
  app.add_option("--verify", arrays,
                 "then run X.npy and compare with Y.npy, which the source gives for it (docs/verify.md)")
      ->expected(2)
      ->type_name("X.npy Y.npy");
  app.add_flag("--allow-external-data", command.allow_external_data,
               "ONNX: also read the files in SOURCE's folder that hold its weights");
  app.add_flag("--verbose", command.verbose, "list every key");
  app.add_flag("-q,--quiet", quiet, "print errors only");
  if (!resnet::tools::parse_command_line(app, argc, argv)) return ExitCode::ok;
  const auto start = std::chrono::steady_clock::now();
  try {
    const bool to_stdout = resnet::tools::same_file(command.output, "/dev/stdout");
    if (!arrays.empty() && to_stdout) throw resnet::tools::UsageError("--verify: the model must go to a file");
    for (const std::string& array : arrays) {
      if (resnet::tools::same_file(array, command.output))
        throw resnet::tools::UsageError("--output " + command.output + ": is also an input of --verify");
      resnet::tools::NpyReader reader(array);  // before the work
    }
    const resnet::convert::Outcome outcome = resnet::convert::run(command);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const auto print = [&](const std::string& text) {
      if (to_stdout) {  // the model went there
        std::fputs(text.c_str(), stderr);
        return;
      }
      resnet::tools::StandardOutput out;
      out.write(text);
      out.flush();
    };
    if (!quiet) {
      print(outcome.report + "wrote       " + resnet::tools::printable(command.output) + ", " +
            resnet::tools::human_bytes(static_cast<std::int64_t>(outcome.bytes)) + ", " +
            resnet::tools::fixed(seconds.count(), 2) + " s\n");
    }
    if (arrays.empty()) return ExitCode::ok;
    std::string verification;
    const bool equal = verify(command.output, arrays, verification);
    if (!quiet || !equal) print(verification);
    return equal ? ExitCode::ok : ExitCode::input_failed;
  } catch (const resnet::Error& error) {
    std::fputs(("resnet_convert: " + resnet::tools::printable(error.what()) + '\n').c_str(), stderr);
    return resnet::tools::exit_code_of(error.code());
  }
}

}  // namespace

int main(int argc, char** argv) { return resnet::tools::run_tool("resnet_convert", argc, argv, convert_main); }
