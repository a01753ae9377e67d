#pragma once

#include "convert/recipe.hpp"
#include "convert/resnet_shape.hpp"

namespace resnet::convert {

/// The layer list of such a network, with the canonical keys (name_families.hpp) as tensor names, and the shape of
/// each: (out, in, height, width) of convolutions, (out, in) of dense layers. Name, note and reasons are left open.
Recipe resnet_recipe(const ResNetShape& shape);

}  // namespace resnet::convert
