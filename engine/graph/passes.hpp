#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"

namespace resnet {

struct PassOptions {
  /// Values that must stay visible (SessionOptions::retain_names): no pass may absorb them.
  std::set<std::string, std::less<>> keep;
};

/// A rewrite that keeps every output value. Ordered list in passes/pass_list.cpp.
struct Pass {
  std::string_view name;
  Graph (*run)(Graph graph, const PassOptions& options);
};

/// Passes that need no sizes, in the order in which they run.
std::span<const Pass> graph_passes();

/// Runs all of graph_passes().
Graph optimise(Graph graph, const PassOptions& options);

/// The rewrites that need sizes (a zero pad into a same-padded conv): returns a graph for exactly these shapes.
Graph specialise(Graph graph, const std::vector<Dims>& shapes, const PassOptions& options);

}  // namespace resnet
