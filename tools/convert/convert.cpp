#include "convert/convert.hpp"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "base/check.hpp"
#include "common/text.hpp"
#include "common/version.hpp"
#include "convert/importers/importer.hpp"
#include "convert/importers/keras.hpp"
#include "convert/importers/keras_model.hpp"
#include "convert/input_range.hpp"
#include "convert/known_files.hpp"
#include "convert/materialise.hpp"
#include "convert/sha256.hpp"
#include "convert/source_config.hpp"
#include "model/model_file.hpp"
#include "resnet_engine/image.hpp"

namespace resnet::convert {
namespace {

/// Zero and denormal variances are legal (dead channels have them), negative ones are not.
void check_variance(const Materialised& variance, double eps, const std::string& key) {
  const std::size_t count = variance.bytes.size() / size_of(variance.dtype);
  for (std::size_t i = 0; i < count; ++i) {
    const double value = static_cast<double>(stored_value(variance.dtype, variance.bytes, i));
    if (value >= 0 && value + eps > 0) continue;
    fail(ErrorCode::bad_batch_norm,
         "channel " + std::to_string(i) + " has running_var " + std::to_string(value) + " with eps " +
             std::to_string(eps),
         key, "the file is damaged, or these are no batch-norm statistics");
  }
}

std::map<std::string, double> eps_by_layer(const Recipe& recipe) {
  std::map<std::string, double> result;
  for (const LayerSpec& layer : recipe.layers) {
    const auto eps = layer.attrs.find("eps");
    if (eps == layer.attrs.end()) continue;
    if (const auto* value = std::get_if<double>(&eps->second)) result[layer.name] = *value;
    if (const auto* value = std::get_if<std::int64_t>(&eps->second)) result[layer.name] = static_cast<double>(*value);
  }
  return result;
}

struct Preset {
  std::string name, json;
};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Leaves out the classes that the training counted before the first real one.
void drop_offset_classes(const SourceConfig& config, Recipe& recipe, std::vector<SourceTensor>& tensors,
                         std::vector<std::string>& notes) {
  const std::int64_t offset = config.label_offset;
  if (offset == 0) return;
  for (SourceTensor& tensor : tensors) {
    if ((tensor.name != "fc.weight" && tensor.name != "fc.bias") || tensor.shape.empty()) continue;
    if (tensor.shape[0] <= offset) {
      fail(ErrorCode::import_failed,
           "leaves out " + std::to_string(offset) + " classes, but " + tensor.key + " has " +
               std::to_string(tensor.shape[0]),
           config.offset_where, leave_configuration);
    }
    const std::int64_t all = element_count(tensor.shape, tensor.key);
    tensor.shape[0] -= offset;
    tensor.offset += offset * tensor.strides[0];
    recipe.expected[tensor.name] = tensor.shape;
    if (recipe.expected_parameters >= 0) recipe.expected_parameters -= all - element_count(tensor.shape, tensor.key);
  }
  notes.push_back("left out the first " + std::to_string(offset) + " classes, as label_offset says");
}

/// A preset that treats all channels alike makes grey pictures for a network of one channel.
Preprocess fit_channels(Preprocess preset, std::int64_t wanted) {
  if (wanted == 1 && preset.mean.empty()) preset.color = ColorMode::gray;
  return preset;
}

/// `where` is what chose the preset: "--preset", or a file.
void check_channels(const Preprocess& preprocess, std::int64_t wanted, const std::string& where) {
  const std::int64_t channels = preprocess.channels();
  if (channels == wanted) return;
  std::string fitting;
  for (const std::string& name : Preprocess::preset_names()) {
    const Preprocess preset = fit_channels(Preprocess::preset(name), wanted);
    if (preset.channels() == wanted) fitting += (fitting.empty() ? "" : ", ") + name;
  }
  const bool given = where == "--preset";
  fail(given ? ErrorCode::invalid_argument : ErrorCode::import_failed,
       "preset " + preprocess.name + " makes " + std::to_string(channels) + (channels == 1 ? " channel" : " channels") +
           ", but the network takes " + std::to_string(wanted),
       where,
       fitting.empty() ? "no preset fits: " + std::string(given ? "leave it out" : "take it out of that file")
                       : "choose with --preset among " + fitting);
}

/// What `make` makes of a file's words about preprocessing; what is wrong with them is that file's fault.
template <class Make>
Preprocess preprocess_of(const std::string& file, Make make) {
  try {
    return make();
  } catch (const Error& error) {
    const std::string place = error.where().starts_with("preprocess") ? error.where() : "preprocess";
    fail(ErrorCode::import_failed, error.message(), file + ": " + place, error.next());
  }
}

/// A preset chosen by name is fitted to the network's input; an object that a recipe holds is taken as it stands, but
/// for --input-size.
Preset choose_preset(const Request& request, const KnownFile* known, const SourceConfig& config, const Recipe& recipe,
                     std::span<const TensorToWrite> tensors, const Dims& input) {
  std::optional<Preprocess> preprocess;
  bool named = true;
  std::string where = recipe.where.empty() ? recipe.name : recipe.where;
  if (!request.preset.empty()) {
    preprocess = Preprocess::preset(request.preset);
    where = "--preset";
  } else if (known != nullptr) {
    preprocess = Preprocess::preset(known->preset);
  } else if (!request.assume_preset.empty()) {
    preprocess = Preprocess::preset(request.assume_preset);
  } else if (!config.preprocess_json.empty()) {
    preprocess = Preprocess::from_json(config.preprocess_json);
    named = false;
    where = config.preprocess_where;
  } else if (!config.preprocess_refusal.empty()) {
    fail(ErrorCode::import_failed, "cannot be expressed as a preset", config.preprocess_refusal,
         "choose one with --preset: " + joined(Preprocess::preset_names()));
  } else if (!recipe.preprocess_json.empty()) {
    preprocess = preprocess_of(where, [&] { return Preprocess::from_json(recipe.preprocess_json); });
    named = false;
  } else if (recipe.raw_pixels ? input.c == 1 || input.c == 3 : !recipe.preset.empty()) {
    constexpr std::int64_t max_side = 8192;  // a habit of the source, not its word: pictures end at 16384
    if (std::max(input.h, input.w) > max_side && !request.input_size) return {};
    const std::string name = recipe.raw_pixels ? raw_preset(recipe.layers, tensors) : recipe.preset;
    preprocess = preprocess_of(where, [&] { return Preprocess::preset(name); });
  }
  if (!preprocess) return {};
  if (named) preprocess = fit_channels(*preprocess, input.c);
  check_channels(*preprocess, input.c, where);
  if (request.input_size) {
    try {
      preprocess = preprocess->with_input_size(input.h, input.w);
    } catch (const Error& error) {
      fail(ErrorCode::invalid_argument, "preset " + preprocess->name + " cannot scale to it: " + error.message(),
           "--input-size", error.next());
    }
  } else if (named) {
    preprocess = preprocess_of(where, [&] { return preprocess->with_input_size(input.h, input.w); });
  }
  return {preprocess->name, preprocess->to_json()};
}

TensorTable tensor_table(const std::vector<TensorToWrite>& tensors) {
  TensorTable table;
  for (const TensorToWrite& tensor : tensors) table[tensor.name] = {tensor.dtype, tensor.shape};
  return table;
}

/// Number of values per image at the output; builds and checks the whole graph on the way.
std::int64_t count_classes(const Recipe& recipe, const std::vector<TensorToWrite>& tensors, const Request& request,
                           Dims& input) {
  constexpr std::int64_t max_values = std::int64_t{1} << 31;  // 8 GiB of floats
  try {
    const Graph graph = build_graph(recipe.layers, recipe.output, tensor_table(tensors));
    input = graph.input_dims();
    const std::vector<Dims> shapes = infer_shapes(graph, 1, input.h, input.w);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (shapes[i].elements() <= max_values) continue;
      fail(request.input_size ? ErrorCode::invalid_argument : ErrorCode::import_failed,
           "makes " + to_string(shapes[i]) + " values of one picture, the limit is 2^31",
           "layer \"" + graph.nodes[i].name + '"',
           request.input_size ? "give a smaller --input-size" : "the file is damaged, or give an --input-size");
    }
    return shapes[static_cast<std::size_t>(graph.output)].elements();
  } catch (const Error& error) {
    if (recipe.where.empty()) throw;
    fail(error.code(), error.message(), recipe.where + (error.where().empty() ? "" : ": " + error.where()),
         error.next().empty() ? "docs/format.md describes layers" : error.next());
  }
}

std::vector<std::string> choose_labels(const Request& request, const SourceConfig& config, bool imagenet,
                                       const Recipe& recipe, std::int64_t classes) {
  std::vector<std::string> labels = request.labels           ? *request.labels
                                    : !config.labels.empty() ? config.labels
                                    : imagenet               ? request.imagenet_labels
                                                             : recipe.labels;
  if (!labels.empty() && static_cast<std::int64_t>(labels.size()) != classes) {
    const bool offset = !request.labels && !config.labels.empty() && config.label_offset > 0;
    fail(request.labels ? ErrorCode::invalid_argument : ErrorCode::import_failed,
         std::to_string(labels.size()) + " labels, but the network puts out " + std::to_string(classes) + " values" +
             (offset ? " behind label_offset " + std::to_string(config.label_offset) : ""),
         request.labels           ? "--labels"
         : !config.labels.empty() ? config.labels_where
         : recipe.where.empty()   ? recipe.name
                                  : recipe.where + ": labels",
         request.labels ? "give one label per line, in index order"
                        : "give the right ones with --labels: one per line, in index order");
  }
  return labels;
}

Json mapping_json(const Mapping& mapping) {
  Json list = Json::array();
  for (const Mapping::Entry& entry : mapping.entries) {
    Json row = Json::object();
    row.set("key", tools::to_utf8(entry.source->key))
        .set("tensor", entry.wanted.key)
        .set("layer", entry.wanted.layer)
        .set("role", entry.wanted.role)
        .set("shape", to_string(entry.source->shape))
        .set("type", to_string(entry.source->type))
        .set("stored",
             to_string(stored_shape(entry.source->shape, entry.oihw ? WeightOrder::oihw_to_krsc : WeightOrder::keep)));
    list.push(std::move(row));
  }
  return list;
}

/// A cached file holds what its name says; an architecture that a recipe file describes is the user's own word.
void check_net(const Request& request, const Recipe& recipe) {
  if (request.net.empty() || !request.arch.file.empty() || recipe.name == request.net) return;
  fail(ErrorCode::import_failed, "is no " + request.net + " but " + recipe.name + " (" + recipe.why + ')', "",
       "remove the file from the cache and fetch it again, or convert it by its path");
}

/// Keys and shapes can fit and the network be another one all the same.
void check_parameters(const Mapping& mapping, const Recipe& recipe) {
  if (recipe.expected_parameters < 0 || mapping.trainable == recipe.expected_parameters) return;
  fail(ErrorCode::import_failed,
       "expects " + std::to_string(recipe.expected_parameters) + " parameters, but the weights are " +
           std::to_string(mapping.trainable),
       recipe.name, "take the weights of this network, or correct \"parameters\" in the recipe");
}

/// "--map: no key is left for a.*, b.*"
void note_unused_patterns(const std::vector<std::string>& patterns, std::vector<std::string>& notes) {
  constexpr std::size_t shown = 10;
  if (patterns.empty()) return;
  std::string text;
  for (std::size_t i = 0; i < std::min(patterns.size(), shown); ++i) {
    text += (i == 0 ? "--map: no key is left for " : ", ") + patterns[i];
  }
  if (patterns.size() > shown) text += " and " + std::to_string(patterns.size() - shown) + " more";
  notes.push_back(text);
}

/// Gives Keras' tensors the names that their architecture uses; sets the graph where the architecture is Keras' own.
void name_keras_weights(Imported& named, const Request& request) {
  const ArchChoice& arch = request.arch;
  const bool keras_arch =
      arch.name.starts_with("keras:") || (!arch.file.empty() && is_keras_json(arch.file.front().json));
  if (named.keras_major == 0 && keras_arch) {
    fail(ErrorCode::invalid_argument,
         "is a Keras architecture, but the weights are no Keras file (" + named.format + ')', "--arch " + arch.name,
         "name the weights that Keras saved, or leave --arch out");
  }
  if (named.keras_major == 0 || named.graph) return;
  const std::string& where = request.source_name;
  if (!arch.file.empty()) {
    const RecipeText& text = arch.file.front();
    if (is_keras_json(text.json)) return use_keras_model(text.json, text.name, named.keras_major, named);
    return name_by_recipe(parse_recipe(text.json, text.name), named, where);
  }
  const std::string_view application = arch.is_auto() ? find_keras_application(named) : arch.name;
  if (!application.empty() && use_keras_application(application, named, where)) return;
  for (const RecipeText& text : arch.recipes) {
    const Recipe recipe = parse_recipe(text.json, text.name);
    if (arch.is_auto() ? fits_recipe(recipe, named) : text.name == arch.name)
      return name_by_recipe(recipe, named, where);
  }
  // Names and shapes that fit another framework's network do not: Keras pads, normalises and ends otherwise.
  if (arch.is_auto()) {
    fail(ErrorCode::import_failed, "holds weights of a Keras model and no architecture", "",
         "add --arch ARCHITECTURE.json (what model.to_json() gives), a recipe, or a name such as keras:resnet50; if "
         "model.save() wrote it, it is damaged");
  }
  name_without_architecture(named);
}

/// Where the file's layers name its tensors, nothing is left to say about either.
void check_not_described(const Request& request) {
  if (!request.arch.file.empty()) {
    fail(ErrorCode::invalid_argument, "is not needed: " + request.source_name + " describes its layers itself",
         request.arch.file.front().name, "convert that file alone");
  }
  const char* option = !request.arch.is_auto() ? "--arch" : !request.map.empty() ? "--map" : nullptr;
  if (option == nullptr) return;
  fail(ErrorCode::invalid_argument, "is given, but the file describes its layers itself", option, "leave it out");
}

void check_names(const std::vector<SourceTensor>& tensors) {
  constexpr std::size_t max_bytes = 1000;
  for (const SourceTensor& tensor : tensors) {
    if (tensor.name.size() <= max_bytes) continue;
    fail(ErrorCode::limit_exceeded,
         "a tensor's name has " + std::to_string(tensor.name.size()) + " bytes, the limit is " +
             std::to_string(max_bytes),
         tensor.name.substr(0, 40) + " ...");
  }
}

/// Renaming may have given two tensors one name, and one of them would never be missed.
void check_unique(const std::vector<SourceTensor>& tensors) {
  std::map<std::string_view, const SourceTensor*> seen;
  for (const SourceTensor& tensor : tensors) {
    const auto [other, added] = seen.emplace(tensor.name, &tensor);
    if (added) continue;
    fail(ErrorCode::import_failed,
         "\"" + other->second->key + "\" and \"" + tensor.key + "\" both are \"" + tensor.name + '"', "key mapping",
         "name the architecture with --arch, or rename one with --map");
  }
}

/// A published file's name on other content: trained further, or damaged.
void note_wrong_hash(const Request& request, const KnownFile* known, const std::string& sha256,
                     std::vector<std::string>& notes) {
  if (known != nullptr || sha256.empty()) return;
  for (const KnownFile& file : known_files()) {
    if (request.source_name.find('-' + std::string(file.hash)) == std::string::npos) continue;
    notes.push_back("the file's name claims the published " + std::string(file.net) + ' ' + std::string(file.version) +
                    ", its content has another hash: not treated as known");
  }
}

}  // namespace

Converted convert_source(const SourceFiles& files, const Request& request) {
  const SourceFile& source = files.main;
  const Importer& importer = find_importer(source);
  Imported named = importer.read(files);
  check_names(named.tensors);
  if (!named.graph) check_tensor_count(named.tensors.size());
  if (named.graph) check_not_described(request);
  name_keras_weights(named, request);
  for (SourceTensor& tensor : named.tensors) {
    if (tensor.key.empty()) tensor.key = tensor.name;
  }
  if (!named.graph) {  // else its layers name its tensors as they are
    // PyTorch's AveragedModel counts beside the weights that it wraps.
    std::erase_if(named.tensors, [](const SourceTensor& tensor) { return tensor.name == "n_averaged"; });
    const std::string prefixes = strip_common_prefixes(named.tensors);
    if (!prefixes.empty()) named.notes.push_back("removed the prefix \"" + prefixes + "\" that all keys share");
    note_unused_patterns(apply_key_map(request.map, named.tensors), named.notes);
  }
  if (named.tensors.empty()) {
    fail(ErrorCode::import_failed, "no tensor is left", "",
         request.map.empty() ? "the file holds none" : "--map drops every key");
  }

  // A file that describes its layers, or Keras', has no configuration of timm's or transformers' beside it.
  const SourceConfig config = named.graph || named.keras_major > 0 ? SourceConfig() : read_source_config(files);
  ArchChoice arch = request.arch;
  arch.configured = config.net;
  arch.ordered = &importer != &safetensors_importer && &importer != &sharded_importer;
  for (const std::string& note : config.notes) named.notes.push_back(note);
  Recipe recipe = named.graph ? *std::move(named.graph) : choose_recipe(arch, named.tensors);
  check_unique(named.tensors);
  drop_offset_classes(config, recipe, named.tensors, named.notes);
  const TensorIndex index(named.tensors);
  check_net(request, recipe);
  const Mapping mapping = map_tensors(recipe, index);
  check_parameters(mapping, recipe);
  if (!recipe.note.empty()) named.notes.push_back(recipe.note);

  std::vector<const SourceTensor*> wanted;
  for (const auto& entry : mapping.entries) wanted.push_back(entry.source);
  StorageCache cache(*named.storages, wanted);
  const auto eps = eps_by_layer(recipe);
  std::vector<Materialised> values;
  std::vector<TensorToWrite> tensors;
  values.reserve(mapping.entries.size());
  for (const auto& entry : mapping.entries) {
    const auto storage = cache.take(*entry.source);
    values.push_back(materialise(*entry.source, *storage, entry.oihw ? WeightOrder::oihw_to_krsc : WeightOrder::keep));
    if (entry.wanted.role == "var") {
      const auto layer = eps.find(entry.wanted.layer);
      check_variance(values.back(), layer == eps.end() ? 0 : layer->second, entry.source->key);
    }
    tensors.push_back({entry.wanted.key, values.back().dtype, values.back().shape, values.back().bytes});
  }

  // Hashing reads the whole file, so what can be refused was refused.
  const std::string sha256 = sha256_hex(source);
  const KnownFile* known = find_known_file(sha256);
  note_wrong_hash(request, known, sha256, named.notes);
  // torchvision's published files are known with their size, whatever the republisher's configuration trains at.
  const bool published = known != nullptr || !request.assume_preset.empty();
  if (config.height > 0 && !published) set_input_size(recipe, config.height, config.width);
  if (request.input_size) set_input_size(recipe, request.input_size->height, request.input_size->width);
  Dims input;
  const std::int64_t classes = count_classes(recipe, tensors, request, input);
  const bool imagenet = (published || config.imagenet) && classes == 1000;
  const Preset preset = choose_preset(request, known, config, recipe, tensors, input);
  ModelToWrite model;
  model.labels = choose_labels(request, config, imagenet, recipe, classes);
  model.preprocess_json = preset.json;
  model.provenance = {{"converter", "resnet_convert " + std::string(tools::version())},
                      {"source", tools::to_utf8(request.source_name)},
                      {"source_format", named.format},
                      {"architecture", recipe.name}};
  if (!sha256.empty()) model.provenance["source_sha256"] = sha256;
  if (known != nullptr) model.provenance["weights"] = std::string(known->net) + ' ' + std::string(known->version);

  Converted result;
  Json& report = result.report;
  Json notes = Json::array(), ignored = Json::array(), parameters = Json::object();
  for (const std::string& note : named.notes) notes.push(tools::to_utf8(note));
  for (const std::string& key : mapping.ignored) ignored.push(tools::to_utf8(key));
  parameters.set("trainable", mapping.trainable)
      .set("running", mapping.running)
      .set("expected", recipe.expected_parameters);
  report = Json::object();
  report.set("importer", importer.name)
      .set("tensors", named.tensors.size())
      .set("sha256", sha256)
      .set("known", known == nullptr ? Json() : Json(model.provenance["weights"]))
      .set("architecture", recipe.name)
      .set("why", recipe.why)
      .set("assumed", published ? "" : recipe.assumed)
      .set("notes", std::move(notes))
      .set("mapping", mapping_json(mapping))
      .set("ignored", std::move(ignored))
      .set("parameters", std::move(parameters))
      .set("configured", !config.preprocess_json.empty())
      .set("preset", preset.name)
      .set("input", Json::Array{input.h, input.w, input.c})
      .set("labels", model.labels.size())
      .set("classes", classes);

  model.layers = std::move(recipe.layers);
  model.output = std::move(recipe.output);
  model.tensors = std::move(tensors);
  result.model.push_back(serialise_header(model));
  for (Materialised& value : values) result.model.push_back(std::move(value.bytes));
  return result;
}

}  // namespace resnet::convert
