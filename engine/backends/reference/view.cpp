// Ops that change a value's shape and not its bytes.

#include "backends/reference/entries.hpp"

namespace resnet::reference {
namespace {

bool keeps_bytes(const Node& node, const Dims& in) {
  if (!node.epilogue.empty()) return false;
  if (node.op->name == "identity") return true;
  if (node.op->name != "flatten") return false;
  return string_attr(node.attrs, "order") == "nhwc" || in.c == 1 || in.h * in.w == 1;
}

std::vector<NodeId> match(const Graph& graph, NodeId first) {
  const auto name = graph.node(first).op->name;
  if (name == "identity" || name == "flatten") return {first};
  return {};
}

Support supports(const StepProblem& problem, const DeviceInfo&) {
  const ValueDesc& in = problem.input_descs[0];
  if (!keeps_bytes(problem.node(), in.dims)) return Support::no("the order of the bytes changes");
  if (in.layout != LayoutId::nhwc || in.channels_in_memory() != in.dims.c)
    return Support::no("the input is not plain NHWC");
  return Support::yes();
}

StepDescs descs(const StepProblem& problem, const DeviceInfo&) {
  ValueDesc out = problem.input_descs[0];
  out.dims = problem.output_descs[0].dims;
  return {{problem.input_descs[0]}, {out}};
}

double estimate_us(const StepProblem&, const DeviceInfo&) { return 0; }

std::vector<AliasRule> aliases(const StepProblem&) { return {{0, 0, true}}; }

class ViewStep final : public Step {
 public:
  void bind(const StepBuffers&) override {}
  void run() override {}
  std::string detail() const override { return "no work"; }
};

std::unique_ptr<Step> prepare(const StepProblem&, const DeviceInfo&) { return std::make_unique<ViewStep>(); }

}  // namespace

const Implementation view{"view", match, supports, estimate_us, descs, aliases, prepare};

}  // namespace resnet::reference
