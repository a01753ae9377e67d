#include "infer/options.hpp"

#include <algorithm>

#include "common/command_line.hpp"
#include "common/same_file.hpp"
#include "common/session_choice.hpp"
#include "common/tool_error.hpp"
#include "common/version.hpp"

namespace resnet::tools {
namespace {

constexpr const char* examples = R"(
Examples:
  resnet_infer -m resnet50.rne cat.jpg                      the five best labels
  resnet_infer -m resnet50.rne photos/ --top 1 --format csv  every picture in a folder and below
  resnet_infer -m resnet50.rne @list.txt --format jsonl     one path a line in list.txt
  resnet_infer -m resnet50.rne x.npy --save-output y.npy    a float32 tensor N x C x H x W in, logits out
  resnet_infer -m resnet50.rne cat.jpg --save layer4.2.relu=f.npy  an inner layer's values

Exit status: 0 all classified; 1 an input failed; 2 usage; 3 model; 4 memory or output; 5 device; 129 and up: signal.
docs/cli.md describes every output format.)";

std::pair<std::string, std::string> parse_save(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw UsageError("--save " + text + ": expected LAYER=FILE.npy");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Format parse_format(const std::string& name) {
  if (name == "text") return Format::text;
  if (name == "json") return Format::json;
  if (name == "jsonl") return Format::jsonl;
  if (name == "csv") return Format::csv;
  throw UsageError("--format " + name + ": expected text, json, jsonl or csv");
}

/// Nothing that is read or written already may be written over. What a directory or a list holds comes later.
void check_outputs(const InferOptions& options) {
  const auto outputs = options.outputs();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (same_file(outputs[i], outputs[j])) throw UsageError("two outputs go to " + outputs[i]);
    }
    if (same_file(outputs[i], options.model)) throw UsageError("the output " + outputs[i] + " is the model file");
    for (const auto& input : options.inputs) {
      if (same_file(outputs[i], input.starts_with('@') ? input.substr(1) : input)) {
        throw UsageError("the output " + outputs[i] + " is also an input");
      }
    }
  }
}

}  // namespace

std::vector<std::string> InferOptions::outputs() const {
  std::vector<std::string> files;
  for (const auto& file : {save_output, save_input}) {
    if (!file.empty()) files.push_back(file);
  }
  for (const auto& [layer, file] : save) files.push_back(file);
  return files;
}

std::optional<InferOptions> parse_infer_options(int argc, char** argv) {
  InferOptions options;
  std::string format = "text";
  SessionArguments session;
  std::vector<std::string> save;
  bool self_test = false;  // main() has looked for it

  CLI::App app("Classifies pictures with a ResNet model file.", "resnet_infer");
  app.footer(examples);
  app.set_version_flag("--version", "resnet_infer " + std::string(version()));
  app.add_option("-m,--model", options.model, "Model file (.rne)")->required()->type_name("FILE");
  app.add_option("INPUT", options.inputs, "Picture, directory, @list.txt, or .npy tensor (float32 N x C x H x W)")
      ->required()
      ->type_name("");
  app.add_option("-k,--top", options.top, "Number of classes to print per input")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("-f,--format", format, "text, json, jsonl or csv")->capture_default_str()->type_name("NAME");
  add_session_options(app, session);
  app.add_flag_callback(
      "--list-devices", [] { throw CLI::CallForVersion(device_table(list_devices()), 0); },
      "Print the devices of this machine, or why they cannot be used, and exit");
  app.add_flag("--self-test", self_test, "Run the self-tests of the kernels of --device, print their results and exit");
  app.add_option("--batch", options.batch, "Images per run at most")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--preset", options.preset, "Preprocessing by name instead of the model's own")->type_name("NAME");
  app.add_flag("--exif", options.exif, "Rotate pictures by their EXIF orientation");
  app.add_option("--save-output", options.save_output, "Write the network's own output, N x K, untouched")
      ->type_name("FILE.npy");
  app.add_option("--save-input", options.save_input, "Write the tensor that was fed, N x C x H x W")
      ->type_name("FILE.npy");
  app.add_option("--save", save, "Write a layer's values, N x C x H x W; may be repeated")
      ->type_name("LAYER=FILE.npy")
      ->allow_extra_args(false);

  if (!parse_command_line(app, argc, argv)) return std::nullopt;
  options.format = parse_format(format);
  options.session = session.options();
  for (const auto& text : save) options.save.push_back(parse_save(text));
  check_outputs(options);
  return options;
}

}  // namespace resnet::tools
