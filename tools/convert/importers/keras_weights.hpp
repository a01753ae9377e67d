#pragma once

#include <string>
#include <vector>

#include "convert/importers/keras_model.hpp"
#include "convert/recipe.hpp"
#include "convert/tensors.hpp"

namespace resnet::convert {

/// A layer or model as weight files see it: which class it has, how its container counts it, what it stores.
struct KerasNode {
  std::string name;                 ///< its own: "conv1"
  std::string key;                  ///< with its models' names: "backbone/conv1"
  std::string snake;                ///< "conv2d"
  std::vector<std::string> roles;   ///< of a layer, in the order of its variables: kernel, bias
  std::vector<KerasNode> children;  ///< of a model, in the order of its layers
  bool ordered = false;             ///< a Keras model: its layers' order is that of weight files
  bool trainable = true;            ///< not frozen
  bool has_weights() const;
};

KerasNode keras_node(const KerasModel& model);
/// A recipe's layers as one flat model. Its weights are named "<layer>/<role>" with Keras' roles.
KerasNode keras_node(const Recipe& recipe);

/// Whether names are those of Keras' own weight layout (".weights.h5", ".keras"), which counts layers per class instead
/// of naming them.
bool is_counted_layout(const std::vector<SourceTensor>& tensors);

/// Renames tensors to "<key>/<role>" and turns kernels into views in our order: (height, width, in, out) becomes
/// (out, in, height, width), (in, out) becomes (out, in). Understands the older HDF5 layout (group per layer, names)
/// and the counted one in its variants: "layers/conv2d_1/vars/0", below an attribute of a subclassed model, and
/// "_layer_checkpoint_dependencies", where Keras 2.12 and 2.13 count twice. What belongs to no layer keeps its name;
/// state of optimizers, metrics and random generators is removed and noted.
/// @throws Error import_failed naming the class whose number of layers differs
void name_keras_tensors(const KerasNode& model, std::vector<SourceTensor>& tensors, std::vector<std::string>& notes,
                        const std::string& where);

/// True when every weight of the architecture is among the tensors.
bool fits_keras_layers(const KerasNode& model, std::vector<SourceTensor> tensors);

/// The older layout without an architecture: "<layer>/<role>" from the last two parts of each name.
void name_keras_tensors(std::vector<SourceTensor>& tensors, std::vector<std::string>& notes);

}  // namespace resnet::convert
