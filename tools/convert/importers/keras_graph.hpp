#pragma once

#include <string>
#include <vector>

#include "convert/importers/constants.hpp"
#include "convert/importers/keras_model.hpp"
#include "convert/recipe.hpp"

namespace resnet::convert {

/// A Keras model as layers of ours. Weights are named "<layer>/<role>" with Keras' roles (kernel, gamma,
/// moving_variance ...); a layer of a nested model is "<model>/<layer>".
struct KerasGraph {
  Recipe recipe;                    ///< with the expected shape of every weight
  std::vector<Constant> constants;  ///< values that the configuration holds instead of weights
};

/// Translates layer by layer; shapes are inferred on the way, so that what does not fit is named. Layers that only
/// training needs become nothing. The recipe is named after the model; the preset says how Keras users feed such a
/// model: keras.applications' own preprocessing where the layer names are theirs, else raw pixels
/// (Recipe::raw_pixels).
/// @param keras_major 2 or 3: their hard_sigmoid differs; 0 refuses it
/// @throws Error import_failed naming `where`, the layer and the option that is not supported
KerasGraph keras_graph(const KerasModel& model, int keras_major, const std::string& where);

}  // namespace resnet::convert
