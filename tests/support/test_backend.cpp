#include "support/test_backend.hpp"

#include <algorithm>
#include <memory>

#include "backends/reference/entries.hpp"

namespace resnet::test {
namespace {

using Nodes = std::vector<NodeId>;

Support yes(const StepProblem&, const DeviceInfo&) { return Support::yes(); }

template <int us>
double takes(const StepProblem&, const DeviceInfo&) {
  return us;
}

bool is(const Graph& graph, NodeId node, std::string_view op) {
  return graph.node(node).op->name == op && graph.node(node).epilogue.empty();
}

Nodes readers(const Graph& graph, NodeId value) { return consumers(graph)[static_cast<std::size_t>(value)]; }

/// A step that is a function of its operands.
class FunctionStep final : public Step {
 public:
  using Function = void (*)(const StepProblem&, std::span<const float* const> in, std::span<float* const> out,
                            float* workspace);
  FunctionStep(const StepProblem& problem, Function function, std::size_t workspace_bytes = 0)
      : problem_(problem), function_(function), workspace_bytes_(workspace_bytes) {}

  std::size_t workspace_bytes() const override { return workspace_bytes_; }
  void bind(const StepBuffers& buffers) override {
    in_.clear();
    out_.clear();
    for (const std::byte* input : buffers.inputs) in_.push_back(reinterpret_cast<const float*>(input));
    for (std::byte* output : buffers.outputs) out_.push_back(reinterpret_cast<float*>(output));
    workspace_ = reinterpret_cast<float*>(buffers.workspace);
  }
  void run() override { function_(problem_, in_, out_, workspace_); }
  std::string detail() const override { return "test"; }

 private:
  StepProblem problem_;
  Function function_;
  std::size_t workspace_bytes_;
  std::vector<const float*> in_;
  std::vector<float*> out_;
  float* workspace_ = nullptr;
};

/// Activates `count` values by the node's own activation.
void activate_all(const Node& node, const float* x, float* y, std::int64_t count) {
  const Activation activation = *activation_of(*node.op, node.attrs);
  for (std::int64_t i = 0; i < count; ++i) y[i] = activate(activation, x[i]);
}

// --- pair: add + relu; the sum goes through the workspace, so that a wrong workspace shows

Nodes match_pair(const Graph& graph, NodeId first) {
  if (!is(graph, first, "add")) return {};
  const Nodes users = readers(graph, first);
  if (users.size() != 1 || !is(graph, users[0], "relu")) return {};
  return {first, users[0]};
}

void run_pair(const StepProblem& problem, std::span<const float* const> in, std::span<float* const> out,
              float* workspace) {
  const std::int64_t count = problem.output_descs[0].dims.elements();
  const float* other = in.size() > 1 ? in[1] : in[0];  // x + x has one input
  for (std::int64_t i = 0; i < count; ++i) workspace[i] = in[0][i] + other[i];
  for (std::int64_t i = 0; i < count; ++i) out[0][i] = std::max(workspace[i], 0.0f);
}

std::unique_ptr<Step> prepare_pair(const StepProblem& problem, const DeviceInfo&) {
  return std::make_unique<FunctionStep>(problem, run_pair, problem.output_descs[0].bytes());
}

// --- twins: relu and sigmoid of one value

Nodes match_twins(const Graph& graph, NodeId first) {
  if (!is(graph, first, "relu") && !is(graph, first, "sigmoid")) return {};
  for (const NodeId other : readers(graph, graph.node(first).inputs[0])) {
    if (other > first && is(graph, other, is(graph, first, "relu") ? "sigmoid" : "relu")) return {first, other};
  }
  return {};
}

void run_twins(const StepProblem& problem, std::span<const float* const> in, std::span<float* const> out, float*) {
  for (std::size_t i = 0; i < 2; ++i) {
    activate_all(problem.graph->node(problem.outputs[i]), in[0], out[i], problem.output_descs[i].dims.elements());
  }
}

std::unique_ptr<Step> prepare_twins(const StepProblem& problem, const DeviceInfo&) {
  return std::make_unique<FunctionStep>(problem, run_twins);
}

// --- one activation: over its input, or in the private layout

template <const char* op>
Nodes match_one(const Graph& graph, NodeId first) {
  return is(graph, first, op) ? Nodes{first} : Nodes{};
}
constexpr char relu6[] = "relu6", silu[] = "silu", leaky_relu[] = "leaky_relu";

std::vector<AliasRule> must_overwrite(const StepProblem&) { return {{0, 0, true}}; }
std::vector<AliasRule> may_overwrite(const StepProblem&) { return {{0, 0, false}}; }

void run_one(const StepProblem& problem, std::span<const float* const> in, std::span<float* const> out, float*) {
  const ValueDesc& desc = problem.output_descs[0];
  activate_all(problem.node(), in[0], out[0], static_cast<std::int64_t>(desc.bytes() / sizeof(float)));
}

/// Reads nothing but its output's memory, so that a missing alias shows.
void run_over(const StepProblem& problem, std::span<const float* const>, std::span<float* const> out, float*) {
  activate_all(problem.node(), out[0], out[0], problem.output_descs[0].dims.elements());
}

template <FunctionStep::Function function>
std::unique_ptr<Step> prepare_function(const StepProblem& problem, const DeviceInfo&) {
  return std::make_unique<FunctionStep>(problem, function);
}

ValueDesc reversed(ValueDesc desc) {
  desc.layout = reversed_layout;
  desc.c_padded = (desc.dims.c + 3) / 4 * 4;
  return desc;
}

StepDescs reversed_descs(const StepProblem& problem, const DeviceInfo&) {
  return {{reversed(problem.input_descs[0])}, {reversed(problem.output_descs[0])}};
}

// --- conversion

Support converts(const StepProblem& problem, const DeviceInfo&) {
  if (problem.input_descs[0].dtype != DType::f32 || problem.output_descs[0].dtype != DType::f32)
    return Support::no("f32 only");
  return Support::yes();
}

std::int64_t channel_place(const ValueDesc& desc, std::int64_t c) {
  return desc.layout == reversed_layout ? desc.channels_in_memory() - 1 - c : c;
}

void run_conversion(const StepProblem& problem, std::span<const float* const> in, std::span<float* const> out, float*) {
  const ValueDesc &from = problem.input_descs[0], &to = problem.output_descs[0];
  const std::int64_t positions = to.dims.n * to.dims.h * to.dims.w;
  std::fill_n(out[0], to.bytes() / sizeof(float), 0.0f);
  for (std::int64_t i = 0; i < positions; ++i) {
    for (std::int64_t c = 0; c < to.dims.c; ++c) {
      out[0][i * to.channels_in_memory() + channel_place(to, c)] =
          in[0][i * from.channels_in_memory() + channel_place(from, c)];
    }
  }
}

std::unique_ptr<Step> prepare_single(const StepProblem& problem, const DeviceInfo& device) {
  return reference::loop.prepare(problem, device);
}

Nodes match_single(const Graph&, NodeId first) { return {first}; }

StepDescs single_descs(const StepProblem& problem, const DeviceInfo& device) {
  return reference::loop.descs(problem, device);
}

}  // namespace

namespace entries {
const Implementation pair{"pair", match_pair, yes, takes<1>, nullptr, nullptr, prepare_pair};
const Implementation twins{"twins", match_twins, yes, takes<1>, nullptr, nullptr, prepare_twins};
const Implementation in_place{"in_place",     match_one<relu6>,          yes, takes<1>, nullptr,
                              must_overwrite, prepare_function<run_over>};
const Implementation may_alias{"may_alias",   match_one<silu>,          yes, takes<1>, nullptr,
                               may_overwrite, prepare_function<run_one>};
const Implementation tiled{"tiled", match_one<leaky_relu>,    yes, takes<1>, reversed_descs,
                           nullptr, prepare_function<run_one>};
const Implementation single{"single", match_single, yes, takes<10>, single_descs, nullptr, prepare_single};
const Implementation conversion{
    "conversion", nullptr, converts, takes<2>, nullptr, nullptr, prepare_function<run_conversion>};
}  // namespace entries

}  // namespace resnet::test
