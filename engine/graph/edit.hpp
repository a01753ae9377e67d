#pragma once

#include "graph/graph.hpp"

namespace resnet {

/// The graph without nodes that do not lead to its output, in the same order. The input stays even when nothing uses it.
Graph drop_unreachable(Graph graph);

}  // namespace resnet
