#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "convert/importers/keras_model.hpp"

namespace resnet::convert {

/// "keras:resnet50", "keras:resnet101", "keras:resnet152" and their v2, for files that hold weights alone; the deepest
/// first, so that the first one that fits a file is the file's.
std::vector<std::string_view> keras_application_names();

/// The model that keras.applications builds, 224x224x3, with its layer names and order.
/// @param classes of the dense layer "predictions"
/// @return a model without layers for an unknown name
KerasModel keras_application(std::string_view name, std::int64_t classes);

/// The preset of keras.applications' own preprocess_input for a model that holds one of its ResNets, by layer names;
/// empty for any other.
std::string keras_application_preset(const KerasModel& model);

}  // namespace resnet::convert
