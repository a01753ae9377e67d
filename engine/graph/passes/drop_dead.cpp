#include "graph/edit.hpp"
#include "graph/passes/pass_functions.hpp"

namespace resnet::passes {

Graph drop_dead(Graph graph, const PassOptions&) { return drop_unreachable(std::move(graph)); }

}  // namespace resnet::passes
