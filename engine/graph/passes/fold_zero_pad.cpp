#include "graph/edit.hpp"
#include "graph/passes/pass_functions.hpp"
#include "ops/rule.hpp"

namespace resnet {

namespace {

using Ints = std::vector<std::int64_t>;

/// Makes the zero pads in front of a convolution with padding explicit or valid part of its padding.
void fold_into(Rewrite& rewrite, NodeId conv) {
  for (;;) {
    const NodeId producer = rewrite.node(conv).inputs[0];
    const Node& pad = rewrite.node(producer);
    if (pad.op->name != "pad" || string_attr(pad.attrs, "mode") != "zero" || !rewrite.absorbable(producer)) return;
    Ints pads = ints_attr(rewrite.node(conv).attrs, "pads");  // zeros for valid
    for (std::size_t i = 0; i < pads.size(); ++i) {
      pads[i] += ints_attr(pad.attrs, "pads")[i];
      if (pads[i] > ops::max_extent) return;
    }
    rewrite.absorb_producer(producer, conv);
    rewrite.node(conv).attrs["padding"] = std::string("explicit");
    rewrite.node(conv).attrs["pads"] = std::move(pads);
  }
}

bool is_same_padded(const Node& conv) {
  const std::string& padding = string_attr(conv.attrs, "padding");
  return padding == "same" || padding == "same_lower";
}

}  // namespace

Graph passes::fold_zero_pad(Graph graph, const PassOptions& options) {
  Rewrite rewrite(std::move(graph), options);
  for (NodeId id = 0; id < rewrite.size(); ++id) {
    if (rewrite.node(id).op->name == "conv2d" && !is_same_padded(rewrite.node(id))) fold_into(rewrite, id);
  }
  return std::move(rewrite).finish();
}

Graph specialise(Graph graph, const std::vector<Dims>& shapes, const PassOptions& options) {
  Rewrite rewrite(std::move(graph), options);
  for (NodeId id = 0; id < rewrite.size(); ++id) {
    Node& node = rewrite.node(id);
    if (node.op->name != "conv2d" || !is_same_padded(node)) continue;
    if (rewrite.node(node.inputs[0]).op->name != "pad") continue;
    // "same" depends on the padded size, which is known now; written out, it takes the pad's zeros on top.
    const NodeShapes view(rewrite.graph(), id, shapes);
    const ConvProblem problem = conv_problem(view.view, shapes[static_cast<std::size_t>(id)]);
    node.attrs["padding"] = std::string("explicit");
    node.attrs["pads"] = Ints{problem.pad_top, problem.pad_left, problem.pad_bottom, problem.pad_right};
    fold_into(rewrite, id);
  }
  return std::move(rewrite).finish();
}

}  // namespace resnet
