#include "convert/command.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "common/atomic_file.hpp"
#include "common/same_file.hpp"
#include "common/session_choice.hpp"
#include "convert/caches.hpp"
#include "convert/child.hpp"
#include "convert/convert.hpp"
#include "convert/embedded.hpp"
#include "convert/hub_folder.hpp"
#include "convert/label_file.hpp"
#include "convert/report.hpp"
#include "convert/source_file.hpp"
#include "model/model_file.hpp"
#include "resnet_engine/image.hpp"

namespace resnet::convert {
namespace {

constexpr std::uint64_t max_recipe_bytes = 16u << 20;

/// The text that an option names; `what` is what it should be.
std::string read_text(const std::string& path, std::uint64_t limit, const std::string& what) {
  const SourceFile file = SourceFile::open(path, "name " + what);
  if (file.size() > limit) {
    fail(ErrorCode::invalid_argument, "is larger than " + std::to_string(limit >> 20) + " MiB", path, "name " + what);
  }
  const auto bytes = file.read(0, file.size());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ArchChoice parse_arch(const std::string& arch) {
  ArchChoice choice;
  choice.name = arch;
  if (!arch.ends_with(".json")) choice.answers = take_answers(choice.name);
  for (const EmbeddedText& recipe : embedded_recipes()) {
    choice.recipes.push_back({std::string(recipe.name), std::string(recipe.text)});
  }
  if (arch.ends_with(".json"))
    choice.file.push_back({arch, read_text(arch, max_recipe_bytes, "a recipe (docs/convert.md)")});
  return choice;
}

/// "resnet50" of the source "torchvision:resnet50", or nothing for a file.
std::string_view net_of(std::string_view source) {
  constexpr std::string_view torchvision = "torchvision:";
  return source.starts_with(torchvision) ? source.substr(torchvision.size()) : std::string_view();
}

/// The weight file and what its place says about it.
CachedFile find_source(const Command& command) {
  if (command.source.starts_with("torchvision:")) {
    return find_cached(net_of(command.source), CacheFolders::from_environment());
  }
  return {weight_file(command.weights.empty() ? command.source : command.weights), {}};
}

Request make_request(const Command& command, const CachedFile& source) {
  Request request;
  request.source_name = std::filesystem::path(source.path).filename().string();
  request.arch = parse_arch(command.weights.empty() ? command.arch : command.source);
  if (!command.map.empty())
    request.map =
        KeyMap::parse(read_text(command.map, max_map_bytes, "a text file of lines \"pattern -> name\""), command.map);
  if (!command.preset.empty()) request.preset = Preprocess::preset(command.preset).name;
  if (!command.labels.empty()) {
    request.labels =
        parse_labels(read_text(command.labels, max_label_bytes, "a text file with one class name per line"),
                     "--labels " + command.labels);
  }
  if (!command.input_size.empty()) request.input_size = tools::parse_size(command.input_size);
  request.net = net_of(command.source);
  request.assume_preset = source.preset;
  request.imagenet_labels = parse_labels(embedded_imagenet_labels(), "imagenet_labels.txt");
  return request;
}

void check_usage(const Command& command) {
  if (!command.weights.empty() && !command.source.ends_with(".json")) {
    fail(ErrorCode::invalid_argument, "is given, but SOURCE is not a recipe (.json)", "--weights",
         "resnet_convert RECIPE.json --weights FILE, or resnet_convert FILE --arch RECIPE.json");
  }
  if (command.weights.empty() && command.source.ends_with(".json") && !command.source.ends_with(".index.json")) {
    fail(ErrorCode::invalid_argument, "is a recipe: the weights are missing", command.source,
         "add --weights FILE with the file that holds them");
  }
  if (!command.weights.empty() && command.arch != "auto") {
    fail(ErrorCode::invalid_argument, "cannot be combined: SOURCE is the architecture", "--weights and --arch",
         "leave --arch out");
  }
}

/// `weights` is the file that SOURCE means, which may lie in a cache.
void check_output(const Command& command, const std::string& weights) {
  const auto beside = [&](const char* name) { return (std::filesystem::path(weights).parent_path() / name).string(); };
  const std::string config = beside("config.json"), preprocessor = beside("preprocessor_config.json");
  for (const std::string* input :
       {&command.source, &weights, &command.map, &command.labels, &command.arch, &config, &preprocessor}) {
    if (tools::same_file(*input, command.output)) {
      fail(ErrorCode::invalid_argument, "is also an input", "--output " + command.output, "choose another name");
    }
  }
}

/// The files that hold weights of an ONNX model by the user's leave: regular files (no links) in the model's folder
/// whose name starts with the model's file name or ends as such files do. All are opened before the model is parsed,
/// which alone says which of them it needs.
void open_external_data(const std::string& path, const std::string& output, SourceFiles& files) {
  namespace fs = std::filesystem;
  constexpr std::size_t limit = 64, most_others = 10'000;
  const fs::path model(path), folder = model.has_parent_path() ? model.parent_path() : fs::path(".");
  const std::string own = model.filename().string();
  std::error_code error;
  std::vector<std::string> names;
  files.external_data = true;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const bool fits =
        name.starts_with(own) || name.ends_with(".data") || name.ends_with(".bin") || name.ends_with(".weights");
    std::error_code gone;
    const bool link = entry->symlink_status(gone).type() == fs::file_type::symlink;
    if (name == own) continue;
    if (fits && !link) {
      names.push_back(name);
    } else if (files.no_external.size() < most_others) {
      files.no_external.emplace(
          name, SourceFiles::Unreadable{entry->path().string(),
                                        fits ? "is a link" : "has a name that --allow-external-data does not take",
                                        fits ? "copy the file itself into the model's folder"
                                             : "save the model again with its weights in \"" + own + ".data\""});
    }
  }
  if (error) fail(ErrorCode::io, "cannot be listed: " + error.message(), folder.string(), "make the folder readable");
  if (names.size() > limit) {
    fail(ErrorCode::limit_exceeded,
         std::to_string(names.size()) + " files in the model's folder may hold its weights, the limit is " +
             std::to_string(limit),
         "--allow-external-data", "move the model and its files to a folder of their own");
  }
  for (const std::string& name : names) {
    if (tools::same_file((folder / name).string(), output)) {
      fail(ErrorCode::invalid_argument, "may hold the model's weights", "--output " + output, "choose another name");
    }
    files.open_beside(folder.string(), name, "copy the file itself into the model's folder");
  }
}

/// Everything that a later Model::load and first Session would check.
void check_model(const ModelFile& model) {
  std::vector<float> values;
  for (const StoredTensor& tensor : model.header().tensors) {
    std::size_t count = 1;
    for (const std::int64_t size : tensor.shape) count *= static_cast<std::size_t>(size);
    values.resize(count);
    model.read_f32(tensor, values);
  }
}

/// The files besides the weights that a message may name as its place.
std::vector<std::string> other_names(const Request& request, const SourceFiles& files, const Command& command) {
  std::vector<std::string> names = {command.map};
  for (const RecipeText& recipe : request.arch.file) names.push_back(recipe.name);
  for (const auto& [name, file] : files.beside) names.push_back(file.name());
  for (const auto* broken : {&files.unreadable, &files.no_external}) {
    for (const auto& [name, file] : *broken) names.push_back(file.path);
  }
  return names;
}

}  // namespace

Outcome run(const Command& command) {
  check_usage(command);
  const CachedFile found = find_source(command);
  check_output(command, found.path);
  const Request request = make_request(command, found);
  tools::AtomicFile output(command.output);  // now: an unwritable place shall not cost a conversion
  const SourceFile source = SourceFile::open(found.path);
  SourceFiles files(source);
  open_hub_files(found.path, files);
  if (command.allow_external_data) open_external_data(found.path, command.output, files);
  for (const auto& [name, file] : files.beside) {
    if (!tools::same_file(file.name(), command.output)) continue;
    fail(ErrorCode::invalid_argument, "is also an input", "--output " + command.output, "choose another name");
  }
  std::vector<int> descriptors = {source.descriptor()};
  std::uint64_t source_bytes = source.size();
  for (const auto& [name, file] : files.beside) {
    descriptors.push_back(file.descriptor());
    source_bytes += file.size();
  }

  ChildResult child = run_limited(
      [&] {
        Converted converted = convert_source(files, request);
        return ChildOutput{converted.report.dump(), std::move(converted.model)};
      },
      limits_for(source_bytes), std::move(descriptors), found.path, other_names(request, files, command));
  source.check_unchanged();
  for (const auto& [name, file] : files.beside) file.check_unchanged();

  const std::uint64_t bytes = child.data.size();
  const Json report = parse_json(child.report, found.path);
  output.write(child.data);  // under its temporary name
  check_model(*ModelFile::from_memory(std::move(child.data), command.output));
  output.commit();

  ReportOptions options;
  options.verbose = command.verbose;
  options.preset_given = !command.preset.empty();
  options.labels_given = !command.labels.empty();
  return {format_report(report, found.path, options), bytes};
}

std::string preset_list() {
  std::string names;
  for (const std::string& name : Preprocess::preset_names()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace resnet::convert
