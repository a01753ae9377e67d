#pragma once

#include "resnet_engine/image.hpp"
#include "runtime/plan_cache.hpp"

namespace resnet {

/// Loads uint8 pixels `from` (channels in the tensor's order) with the scale, mean and std of `preprocess`: on the
/// device where the backend can, by the host where it sees the device's memory, then bit for bit as preprocess_image()
/// does.
InputLoad normalizing_load(Backend& backend, const Preprocess& preprocess, const ValueDesc& from, const Plan& plan);

}  // namespace resnet
