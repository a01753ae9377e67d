#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "support/random_graph.hpp"

namespace resnet::test {

/// Every value of a graph, by value name, NHWC, as double throughout: the oracle for passes and backends.
using Values = std::map<std::string, std::vector<double>, std::less<>>;
Values interpret(const Graph& graph, const WeightMap& weights, const Dims& input_dims, const std::vector<float>& input);

/// The network's output alone.
std::vector<double> interpret_output(const Graph& graph, const WeightMap& weights, const Dims& input_dims,
                                     const std::vector<float>& input);

}  // namespace resnet::test
