#pragma once

#include "convert/importers/importer.hpp"

namespace resnet::convert {

/// The weights of an HDF5 file that lies in memory, named as the file names them.
Imported read_keras_weights(std::unique_ptr<const SourceFile> unpacked);
/// Translates the architecture (what to_json() writes), sets it as the graph and names the tensors by it.
/// @param keras_major which Keras wrote it where it does not say so itself, or 0
void use_keras_model(std::string_view json, const std::string& where, int keras_major, Imported& weights);

/// Names the tensors of a weight file by a recipe of ours whose weights are called "<layer>/<role>".
void name_by_recipe(const Recipe& recipe, Imported& weights, const std::string& where);
/// Takes keras.applications' architecture of this name ("keras:resnet50"), with as many classes as the file's dense
/// layer "predictions" has. @return false for an unknown name
bool use_keras_application(std::string_view name, Imported& weights, const std::string& where);
/// The name whose layers the file names, or "". A file that only counts layers is never taken for one.
std::string_view find_keras_application(const Imported& weights);
/// Names as far as no architecture is needed: not where the file only counts its layers.
void name_without_architecture(Imported& weights);
/// Whether the file has all weights of a recipe.
bool fits_recipe(const Recipe& recipe, const Imported& weights);

}  // namespace resnet::convert
