#include <array>

#include "graph/passes/pass_functions.hpp"

namespace resnet {

namespace {

constexpr std::array list{
    Pass{"remove_identity", passes::remove_identity},
    Pass{"drop_dead", passes::drop_dead},
    Pass{"bias_to_epilogue", passes::bias_to_epilogue},
    Pass{"batch_norm_to_scale_shift", passes::batch_norm_to_scale_shift},
    Pass{"fold_scale_shift", passes::fold_scale_shift},
    Pass{"fold_zero_pad", passes::fold_zero_pad},
    // An activation would close the convolution's epilogue, so the residual goes first.
    Pass{"fuse_residual", passes::fuse_residual},
    Pass{"fuse_activation", passes::fuse_activation},
    Pass{"flatten_order", passes::flatten_order},
};

}  // namespace

std::span<const Pass> graph_passes() { return list; }

Graph optimise(Graph graph, const PassOptions& options) {
  for (const Pass& pass : list) graph = pass.run(std::move(graph), options);
  return graph;
}

}  // namespace resnet
