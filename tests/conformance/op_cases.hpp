#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/random_graph.hpp"

namespace resnet::test {

/// A network around one op, small enough to be computed by hand if need be.
struct OpCase {
  std::string name;       ///< "conv2d, 3x3 stride 2"
  std::string_view op;    ///< entry of the op table that it is about
  RandomNetwork network;  ///< real weights
};

/// Cases of every op that a file may hold: corner cases of attributes and odd sizes, and for ops that take an epilogue
/// each activation, batch norm and residual behind them.
std::vector<OpCase> op_cases();

}  // namespace resnet::test
