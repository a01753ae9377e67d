#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "support/resnet_graphs.hpp"

namespace resnet::test {

/// Weights that keep activations near unit size: He-scaled convolutions, batch norms with statistics near (0, 1).
/// The same seed gives the same values on every machine.
std::map<std::string, std::vector<float>> random_weights(const NetworkSpec& network, std::uint64_t seed);

/// The bytes of a `.rne` file with those weights; tensors that the network has as bf16 are rounded to it.
std::vector<std::byte> random_model(const NetworkSpec& network, std::uint64_t seed);

/// `size` reproducible values in [-1, 1).
std::vector<float> random_values(std::size_t size, std::uint64_t seed);

}  // namespace resnet::test
