#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"

namespace resnet::convert {

struct KerasModel;

/// In bytes: below what the model format allows, with room for a tensor's role.
inline constexpr std::size_t max_keras_name = 1000;

/// A value inside a Keras model: what call number `call` of layer number `layer` returns.
struct KerasValue {
  std::size_t layer = 0, call = 0;
};

/// One call of a layer.
struct KerasCall {
  std::vector<KerasValue> inputs;
  Json arguments = Json::object();  ///< those by name that are no tensors and not null: axis, training
};

/// A layer of a Keras model as its configuration describes it.
struct KerasLayer {
  std::string class_name;  ///< "Conv2D"
  std::string name;        ///< unique within its model
  std::string module;      ///< "keras.layers", "keras.src.ops.numpy", or empty in old files
  Json config;
  std::vector<KerasCall> calls;       ///< a shared layer has several
  std::unique_ptr<KerasModel> model;  ///< of a nested model, else null
};

/// Whether the layer may be a function of keras.ops, not a class of keras.layers. HDF5 files do not tell them apart.
bool is_keras_function(const KerasLayer& layer);
/// '+', '-', '*' or '/' where the layer is one of Python's operators (keras.ops or a TensorFlow function), otherwise 0.
char keras_operator(const KerasLayer& layer);

/// A Functional or Sequential model. Layers are in the configuration's order, which is the order in which weight files
/// count them.
struct KerasModel {
  std::string class_name, name;
  int major = 0;  ///< 2 or 3 where the configuration says which Keras wrote it, else 0
  std::vector<KerasLayer> layers;
  /// Every call of every layer, inputs first.
  std::vector<KerasValue> order;
  KerasValue input, output;
};

/// Whether a JSON text looks like what Keras' to_json() writes rather than like a recipe.
bool is_keras_json(std::string_view text);

/// Parses what `to_json()` or config.json holds, Keras 2 or 3. Bounded: 20,000 calls, models nested 8 deep.
/// @throws Error import_failed, bad_header naming `where` and the layer: a subclassed model, several inputs or outputs,
/// a cycle, a reference to a missing layer
KerasModel parse_keras_model(std::string_view json, const std::string& where);

/// Whether layers of this class act on nothing at inference. RandomCrop is none of them: it crops the middle then.
bool is_training_only(std::string_view class_name);

/// 2 or 3 of a version such as "2.13.1", 0 for any other text.
int keras_major(std::string_view version);

/// "Conv2D" -> "conv2d", "BatchNormalization" -> "batch_normalization": how weight files name a class.
std::string keras_snake_case(std::string_view class_name);

}  // namespace resnet::convert
