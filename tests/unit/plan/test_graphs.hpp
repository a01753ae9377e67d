#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "graph/graph.hpp"

namespace resnet::test {

/// A layer without weights: {name, op, inputs}.
struct Layer {
  std::string name, op;
  std::vector<std::string> inputs;
};

/// A graph of weightless layers over an input "x" of H x W x C.
inline Graph small_graph(std::initializer_list<Layer> layers, const std::string& output, std::int64_t H = 4,
                         std::int64_t W = 4, std::int64_t C = 8) {
  std::vector<LayerSpec> specs{{"x", "input", {}, {{"channels", C}, {"height", H}, {"width", W}}, {}}};
  for (const Layer& layer : layers) specs.push_back({layer.name, layer.op, layer.inputs, {}, {}});
  return build_graph(std::move(specs), output, {});
}

}  // namespace resnet::test
