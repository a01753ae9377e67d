#include "convert/importers/keras_model.hpp"

#include <algorithm>
#include <cctype>
#include <functional>
#include <iterator>
#include <map>
#include <queue>
#include <set>
#include <utility>

#include "base/check.hpp"
#include "convert/importers/keras_config.hpp"

namespace resnet::convert {
namespace {

constexpr int max_nesting = 8;
constexpr std::size_t max_calls = 20'000;

[[noreturn]] void reject(const std::string& where, const std::string& message, std::string next = {}) {
  fail(ErrorCode::import_failed, message, where, std::move(next));
}

/// The names become those of layers and tensors, which the model format bounds, and stand in messages.
void check_name(const std::string& name, const std::string& what, const std::string& where) {
  const bool printable = std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (name.size() <= max_keras_name && printable) return;
  reject(where,
         printable ? what + " has " + std::to_string(name.size()) + " bytes, " + std::to_string(max_keras_name) +
                         " at most are read: \"" + name.substr(0, 32) + "...\""
                   : what + " holds control characters",
         "name it otherwise and save the model again");
}

/// Where a call gets an input from, before names are resolved.
struct Source {
  std::string layer;
  std::int64_t call = 0;
  bool keras3 = false;  ///< from a tensor's history, not from a plain list
};

/// ["conv1", 0, 0] or ["conv1", 0, 0, {...}]
Source parse_source(const Json& json, const std::string& where) {
  const auto& parts = json.as_array(where);
  if (parts.size() < 3) reject(where, "an input is not [layer, call, output]", "save the model again");
  Source source{parts[0].as_string(where), parts[1].as_int(where)};
  if (parts[2].as_int(where) != 0) {
    reject(where, "takes output " + std::to_string(parts[2].as_int()) + " of " + source.layer,
           "layers with several outputs are not run; convert the classifier alone");
  }
  return source;
}

bool is_source(const Json& json) {
  return json.is_array() && json.as_array().size() >= 3 && json.as_array()[0].is_string() &&
         json.as_array()[1].is_int() && json.as_array()[2].is_int();
}

/// Tensors among the arguments of a Keras 3 call, lists of them included.
void collect_keras3(const Json& json, std::vector<Source>& out, const std::string& where) {
  if (json.is_array()) {
    for (const Json& item : json.as_array()) {
      if (item.is_object() && item.find("class_name") != nullptr) collect_keras3(item, out, where);
    }
    return;
  }
  const Json* kind = json.find("class_name");
  if (kind == nullptr || !kind->is_string() || kind->as_string() != "__keras_tensor__") return;
  out.push_back(parse_source(json.at("config", where).at("keras_history", where), where));
  out.back().keras3 = true;
}

/// The numbers of an argument of a Keras 3 call that is a constant, or null.
const Json* constant_of(const Json& argument) {
  if (argument.is_number()) return &argument;
  if (!argument.is_object()) return nullptr;
  const Json *kind = argument.find("class_name"), *config = argument.find("config");
  const bool is_array =
      kind != nullptr && kind->is_string() && (kind->as_string() == "__numpy__" || kind->as_string() == "__tensor__");
  return is_array && config != nullptr && config->is_object() ? config->find("value") : nullptr;
}

/// A call before names are resolved.
struct RawCall {
  std::vector<Source> inputs;
  Json arguments = Json::object();
};

void keep_argument(const std::string& key, const Json& value, RawCall& call) {
  if (!value.is_null() && key != "name") call.arguments.set(key, value);
}

/// Keras 2 puts what an operator such as x + y takes besides its first input into the last element's arguments.
void collect_keras2(const Json& json, RawCall& call, const std::string& where) {
  if (is_source(json)) {
    call.inputs.push_back(parse_source(json, where));
    const auto& parts = json.as_array();
    if (parts.size() < 4 || !parts[3].is_object()) return;
    for (const auto& [key, value] : parts[3].as_object()) {
      if (is_source(value)) {
        call.inputs.push_back(parse_source(value, where + ": " + key));
      } else {
        keep_argument(key, value, call);
      }
    }
    return;
  }
  for (const Json& item : json.as_array(where)) {
    if (!is_source(item)) reject(where, "an input is not [layer, call, output]", "save the model again");
    collect_keras2(item, call, where);
  }
}

/// Whether a layer or model is the user's own class, which may compute anything.
bool is_custom(const Json& json) {
  const Json* registered = json.find("registered_name");
  if (registered != nullptr && registered->is_string() && registered->as_string().find('>') != std::string::npos)
    return true;
  const Json* module = json.find("module");
  if (module == nullptr) return false;  // older files do not say
  return !module->is_string() ||
         !(module->as_string().starts_with("keras") || module->as_string().starts_with("tf_keras"));
}

std::vector<RawCall> parse_calls(const Json& nodes, const std::string& where) {
  std::vector<RawCall> calls;
  for (const Json& node : nodes.as_array(where)) {
    RawCall call;
    std::vector<Source>& inputs = call.inputs;
    if (node.is_object()) {
      if (const Json* arguments = node.find("args")) {
        const auto& positional = arguments->as_array(where);
        for (std::size_t i = 0; i < positional.size(); ++i) {
          collect_keras3(positional[i], inputs, where);
          const Json* constant = constant_of(positional[i]);
          if (constant != nullptr && i < 2) keep_argument(i == 0 ? "x" : "y", *constant, call);
        }
      }
      if (const Json* arguments = node.find("kwargs"); arguments != nullptr && arguments->is_object()) {
        for (const auto& [key, value] : arguments->as_object()) {
          const std::size_t before = inputs.size();
          collect_keras3(value, inputs, where);
          if (inputs.size() == before) keep_argument(key, value, call);
        }
      }
    } else {
      collect_keras2(node, call, where);
    }
    calls.push_back(std::move(call));
  }
  return calls;
}

/// The only entry of input_layers or output_layers: [["name", 0, 0]], in Keras 3 also ["name", 0, 0] or
/// {"key": ["name", 0, 0]}.
Source single_end(const Json& json, const std::string& what, const std::string& where) {
  if (is_source(json)) return parse_source(json, where);
  Json::Array list;
  if (json.is_object()) {
    for (const auto& [key, value] : json.as_object()) list.push_back(value);
  } else {
    list = json.as_array(where);
  }
  if (list.size() != 1 || !is_source(list[0])) {
    std::string names;
    for (const Json& item : list) {
      if (is_source(item)) names += (names.empty() ? "" : ", ") + item.as_array()[0].as_string();
    }
    reject(where, "has " + std::to_string(list.size()) + ' ' + what + "s (" + names + "), one is run",
           "build a keras.Model with one " + what + " from it, and save that");
  }
  return parse_source(list[0], where);
}

class Parser {
 public:
  KerasModel model(const Json& json, const std::string& where, int depth) {
    if (depth > max_nesting) fail(ErrorCode::limit_exceeded, "models are nested more than 8 deep", where);
    KerasModel result;
    if (!json.is_object()) {
      reject(where, "is no JSON object, so it describes no Keras model",
             "take what model.to_json() gives, or save the model again");
    }
    result.class_name = json.at("class_name", where).as_string(where);
    check_name(result.class_name, "the name of a class", where);
    const Json* config = json.find("config");
    // Keras 1 and early 2 wrote a Sequential model's layers as the config itself.
    const Json* layers = config == nullptr ? nullptr : config->is_array() ? config : config->find("layers");
    if (layers == nullptr) {
      reject(where, "the configuration of \"" + result.class_name + "\" lists no layers: it is a subclassed model",
             "name a recipe with --arch (docs/models.md has keras-subclassed-resnet50), or save the functional model "
             "inside it");
    }
    const std::string& kind = result.class_name;
    if (is_custom(json) || (kind != "Functional" && kind != "Sequential" && kind != "Model")) {
      reject(where, "is of the class " + kind + " of your own, whose call() may compute anything",
             "if it has no call() of its own, save keras.Model(model.inputs, model.outputs) instead");
    }
    if (const Json* name = config->find("name"); name != nullptr && name->is_string()) result.name = name->as_string();
    check_name(result.name, "the model's name", where);
    if (const Json* version = json.find("keras_version"); version != nullptr && version->is_string())
      result.major = keras_major(version->as_string());
    if (json.find("backend") != nullptr && json.find("keras_version") == nullptr)
      reject(where, "has a \"backend\", but no \"keras_version\": Keras 2 writes both");
    std::vector<std::vector<RawCall>> sources;
    for (const Json& item : layers->as_array(where)) sources.push_back(layer(item, result, where, depth));
    if (result.class_name == "Sequential") {
      connect_in_order(*config, result, where);
    } else {
      connect(*config, result, sources, where);
    }
    return result;
  }

 private:
  std::vector<RawCall> layer(const Json& json, KerasModel& model, const std::string& where, int depth) {
    KerasLayer layer;
    layer.class_name = json.at("class_name", where).as_string(where);
    check_name(layer.class_name, "the name of a class", where);
    layer.config = json.at("config", where);
    const Json* name = json.find("name");
    if (name == nullptr || !name->is_string()) name = layer.config.find("name");
    layer.name = name != nullptr && name->is_string()
                     ? name->as_string()
                     : keras_snake_case(layer.class_name) + '_' + std::to_string(model.layers.size());
    check_name(layer.name, "a layer's name", where);
    const std::string place = where + ": layer \"" + layer.name + '"';
    if (const Json* module = json.find("module"); module != nullptr && module->is_string())
      layer.module = module->as_string();
    const bool nested = layer.class_name == "Functional" || layer.class_name == "Sequential" ||
                        layer.class_name == "Model" || layer.config.find("layers") != nullptr;
    if (nested) layer.model = std::make_unique<KerasModel>(this->model(json, place, depth + 1));
    if (is_custom(json)) {
      reject(place, "is of the class " + layer.class_name + " of your own, which may compute anything",
             "build the model from Keras' own layers, or export ONNX");
    }
    if (!nested) {
      if (!layer.config.is_object()) reject(place, "\"config\" is no object", "save the model again with Keras");
      KerasConfig(layer.config, where, layer.name).check_keys(layer.class_name);
    }
    std::vector<RawCall> calls;
    if (const Json* nodes = json.find("inbound_nodes")) calls = parse_calls(*nodes, place);
    for (const auto& call : calls) calls_ += 1 + call.inputs.size();
    if (++calls_ > max_calls) fail(ErrorCode::limit_exceeded, "has more than 20000 calls", where);
    model.layers.push_back(std::move(layer));
    return calls;
  }

  static void add_input_layer(const Json& config, KerasModel& model, const std::string& where) {
    if (!model.layers.empty() && model.layers.front().class_name == "InputLayer") return;
    const Json* shape = nullptr;
    for (const char* key : {"batch_input_shape", "batch_shape"}) {
      if (shape == nullptr && !model.layers.empty()) shape = model.layers.front().config.find(key);
    }
    if (shape == nullptr) shape = config.find("build_input_shape");
    if (shape == nullptr && !model.layers.empty() && model.layers.front().model != nullptr) {
      const KerasModel& inner = *model.layers.front().model;
      const Json& inner_config = inner.layers[inner.input.layer].config;
      shape = inner_config.find("batch_shape");
      if (shape == nullptr) shape = inner_config.find("batch_input_shape");
    }
    if (shape == nullptr)
      reject(where, "the Sequential model does not say its input shape", "call model.build(shape) and save it again");
    KerasLayer input;
    input.class_name = "InputLayer";
    input.name = "input";
    input.config = Json::object();
    input.config.set("batch_shape", *shape);
    model.layers.insert(model.layers.begin(), std::move(input));
  }

  static void connect_in_order(const Json& config, KerasModel& model, const std::string& where) {
    add_input_layer(config, model, where);
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
      model.layers[i].calls = {i == 0 ? KerasCall{} : KerasCall{{{i - 1, 0}}, Json::object()}};
      model.order.push_back({i, 0});
    }
    model.input = {0, 0};
    model.output = {model.layers.size() - 1, 0};
  }

  static void connect(const Json& config, KerasModel& model, const std::vector<std::vector<RawCall>>& sources,
                      const std::string& where) {
    std::map<std::string, std::size_t, std::less<>> by_name;
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
      if (!by_name.emplace(model.layers[i].name, i).second)
        reject(where, "two layers are named \"" + model.layers[i].name + '"');
    }
    const auto resolve = [&](Source source, const std::string& user) {
      const auto found = by_name.find(source.layer);
      // Keras 2 counts the calls of a nested model from 1: number 0 is the one inside it.
      if (found != by_name.end() && model.layers[found->second].model && !source.keras3 && source.call > 0)
        --source.call;
      const std::size_t calls = found == by_name.end() ? 0 : sources[found->second].size();
      // An input layer may have no node of its own.
      const bool is_input = found != by_name.end() && model.layers[found->second].class_name == "InputLayer";
      if (source.call < 0 || static_cast<std::size_t>(source.call) >= std::max<std::size_t>(calls, is_input ? 1 : 0)) {
        reject(where + ": " + user, "takes call " + std::to_string(source.call) + " of layer \"" + source.layer +
                                        "\", which does not exist");
      }
      return KerasValue{found->second, static_cast<std::size_t>(source.call)};
    };
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
      KerasLayer& layer = model.layers[i];
      for (const RawCall& call : sources[i]) {
        layer.calls.push_back({{}, call.arguments});
        for (const Source& source : call.inputs)
          layer.calls.back().inputs.push_back(resolve(source, "layer \"" + layer.name + '"'));
      }
      if (layer.class_name == "InputLayer" && layer.calls.empty()) layer.calls.emplace_back();
    }
    model.input = resolve(single_end(config.at("input_layers", where), "input", where), "input_layers");
    model.output = resolve(single_end(config.at("output_layers", where), "output", where), "output_layers");
    sort(model, where);
  }

  /// Kahn's algorithm; among the calls that are ready, the configuration's order counts.
  static void sort(KerasModel& model, const std::string& where) {
    using Call = std::pair<std::size_t, std::size_t>;
    std::map<Call, std::size_t> waiting;
    std::map<Call, std::vector<Call>> users;
    std::priority_queue<Call, std::vector<Call>, std::greater<>> ready;
    std::size_t calls = 0;
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
      for (std::size_t call = 0; call < model.layers[i].calls.size(); ++call, ++calls) {
        const auto& inputs = model.layers[i].calls[call].inputs;
        waiting[{i, call}] = inputs.size();
        for (const KerasValue& value : inputs) users[{value.layer, value.call}].push_back({i, call});
        if (inputs.empty()) ready.push({i, call});
      }
    }
    while (!ready.empty()) {
      const Call call = ready.top();
      ready.pop();
      model.order.push_back({call.first, call.second});
      for (const Call& user : users[call]) {
        if (--waiting[user] == 0) ready.push(user);
      }
    }
    if (model.order.size() == calls) return;
    for (const auto& [call, inputs] : waiting) {
      if (inputs > 0) reject(where + ": layer \"" + model.layers[call.first].name + '"', "is part of a cycle");
    }
  }

  std::size_t calls_ = 0;
};

}  // namespace

int keras_major(std::string_view version) { return version.starts_with("2.") ? 2 : version.starts_with("3.") ? 3 : 0; }

std::string keras_snake_case(std::string_view class_name) {
  // Two passes, as Keras does it: a capital that starts a word, then one that follows a small letter.
  std::string words;
  for (std::size_t i = 0; i < class_name.size(); ++i) {
    const auto upper = [&](std::size_t k) {
      return k < class_name.size() && std::isupper(static_cast<unsigned char>(class_name[k])) != 0;
    };
    const auto lower = [&](std::size_t k) {
      return k < class_name.size() && std::islower(static_cast<unsigned char>(class_name[k])) != 0;
    };
    if (i > 0 && upper(i) && (lower(i + 1) || lower(i - 1))) words += '_';
    words += static_cast<char>(std::tolower(static_cast<unsigned char>(class_name[i])));
  }
  return words;
}

bool is_training_only(std::string_view class_name) {
  static constexpr std::string_view names[] = {"ActivityRegularization",
                                               "AlphaDropout",
                                               "AugMix",
                                               "CutMix",
                                               "Dropout",
                                               "GaussianDropout",
                                               "GaussianNoise",
                                               "MixUp",
                                               "RandAugment",
                                               "RandomBrightness",
                                               "RandomColorDegeneration",
                                               "RandomColorJitter",
                                               "RandomContrast",
                                               "RandomElasticTransform",
                                               "RandomErasing",
                                               "RandomFlip",
                                               "RandomGaussianBlur",
                                               "RandomGrayscale",
                                               "RandomHue",
                                               "RandomInvert",
                                               "RandomPerspective",
                                               "RandomPosterization",
                                               "RandomRotation",
                                               "RandomSaturation",
                                               "RandomShear",
                                               "RandomTranslation",
                                               "RandomZoom",
                                               "SpatialDropout2D"};
  return std::find(std::begin(names), std::end(names), class_name) != std::end(names);
}

bool is_keras_json(std::string_view text) {
  const std::size_t key = text.find("\"class_name\"");
  return key != text.npos && key < text.find("\"op\"");
}

KerasModel parse_keras_model(std::string_view json, const std::string& where) {
  return Parser().model(parse_json(json, where), where, 0);
}

bool is_keras_function(const KerasLayer& layer) {
  return layer.module.starts_with("keras.src.ops") || (layer.module.empty() && layer.class_name != "TFOpLambda");
}

char keras_operator(const KerasLayer& layer) {
  struct Row {
    std::string_view kind, tensorflow, tensorflow_operator;
    char sign;
  };
  static constexpr Row rows[] = {{"Add", "math.add", "__operators__.add", '+'},
                                 {"Subtract", "math.subtract", "__operators__.sub", '-'},
                                 {"Multiply", "math.multiply", "__operators__.mul", '*'},
                                 {"TrueDivide", "math.truediv", "__operators__.truediv", '/'},
                                 {"Divide", "math.divide", "", '/'}};
  std::string_view function;
  if (layer.class_name == "TFOpLambda" || layer.class_name == "TensorFlowOpLayer") {
    const Json* name = layer.config.find("function");
    if (name != nullptr && name->is_string()) function = name->as_string();
  }
  for (const Row& row : rows) {
    if (function.empty() ? is_keras_function(layer) && layer.class_name == row.kind
                         : function == row.tensorflow || function == row.tensorflow_operator)
      return row.sign;
  }
  return 0;
}

}  // namespace resnet::convert
