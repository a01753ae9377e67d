#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "graph/graph.hpp"

namespace resnet::test {

using WeightMap = std::map<std::string, std::vector<float>, std::less<>>;

/// A network as a file would hold it, with its weights.
struct RandomNetwork {
  std::vector<LayerSpec> layers;
  std::string output;
  TensorTable tensors;
  WeightMap weights;
  Dims input;  ///< n = 1

  Graph build() const { return build_graph(layers, output, tensors); }
  /// Integers in [-4, 4], NHWC, for n images.
  std::vector<float> input_values(std::int64_t n, std::uint64_t seed) const;
};

struct RandomNetworkOptions {
  /// Every value is a multiple of a power of two that fits into 50 bits: integer weights, batch norms whose scale is a
  /// power of two, means over 2^k values, no exponential but in a last softmax. Any correct rewrite is then bit-equal
  /// in double. Off: real weights, sigmoid and silu, any window.
  bool exact = true;
  int blocks = 4;  ///< at most
};

/// A network of residual, pre-activation, squeeze-and-excitation, grouped, dilated, padded and pooled blocks with
/// shared values, dropouts, dead layers and one of several heads; in file order or shuffled. A function of the seed
/// alone.
RandomNetwork random_network(std::uint64_t seed, const RandomNetworkOptions& options = {});

}  // namespace resnet::test
