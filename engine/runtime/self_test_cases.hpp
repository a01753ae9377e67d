#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.hpp"

namespace resnet {

/// A network around one layer whose values are integers, or quarters and the like, that every precision holds exactly.
struct SelfTestCase {
  std::string name;  ///< "conv2d 3x3, bias, residual, relu"
  Graph graph;       ///< unoptimised
  Dims input;
  std::vector<float> values;                          ///< of the input, NHWC
  std::map<std::string, std::vector<float>> weights;  ///< by tensor
};

/// The smallest cases that reach every kernel and its tails: channels and positions that fill no tile. Each becomes one
/// step, or several of one kernel, so that a wrong value is that kernel's (a change of type apart).
const std::vector<SelfTestCase>& self_test_cases();

}  // namespace resnet
