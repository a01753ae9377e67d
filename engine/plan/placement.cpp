#include "plan/placement.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace resnet {
namespace {

/// Which input each output overwrites, -1 for none.
std::vector<int> granted_aliases(const ChosenStep& step, const ValueRules& rules) {
  const StepProblem& problem = step.problem;
  std::vector<int> over(problem.outputs.size(), -1);
  if (step.implementation->aliases == nullptr || problem.nodes.empty()) return over;
  auto wishes = step.implementation->aliases(problem);
  // Required ones first: selection found them legal, and a wish must not take their input.
  std::stable_partition(wishes.begin(), wishes.end(), [](const AliasRule& rule) { return rule.required; });
  for (const AliasRule& rule : wishes) {
    const auto input = static_cast<std::size_t>(rule.input), output = static_cast<std::size_t>(rule.output);
    ensure(input < problem.inputs.size() && output < over.size(),
           "aliases() of " + std::string(step.implementation->name) + " names an operand that does not exist");
    const bool taken = over[output] >= 0 || std::find(over.begin(), over.end(), rule.input) != over.end();
    const bool fits = problem.input_descs[input].bytes() == problem.output_descs[output].bytes();
    if (!taken && fits && rules.dies_in(problem.inputs[input], problem.nodes)) over[output] = rule.input;
    ensure(!rule.required || over[output] == rule.input, "a required alias cannot be granted");
  }
  return over;
}

class Assignment {
 public:
  Assignment(const Graph& graph, const PlanOptions& options, std::size_t steps)
      : everything_lives_(options.retain_steps), end_(std::max(static_cast<int>(steps) - 1, 0)) {
    plan.forms.resize(graph.nodes.size());
  }

  /// Memory for a value as it is made; the block of `over` where it takes over another one's.
  std::size_t produce(NodeId value, const ValueDesc& desc, int step, const std::size_t* over) {
    const std::size_t block = over != nullptr ? *over : plan.blocks.size();
    if (over == nullptr)
      plan.blocks.push_back({desc.bytes(), everything_lives_ ? 0 : step, everything_lives_ ? end_ : step});
    plan.forms[static_cast<std::size_t>(value)].push_back({desc, block});
    return block;
  }

  std::size_t use(NodeId value, const ValueDesc& desc, int step) {
    const std::size_t block = plan.block(value, desc);
    plan.blocks[block].last = std::max(plan.blocks[block].last, step);
    return block;
  }

  std::size_t workspace(std::size_t bytes, int step) {
    plan.blocks.push_back({bytes, step, step});
    return plan.blocks.size() - 1;
  }

  void keep(NodeId value, const ValueDesc& desc) { plan.blocks[plan.block(value, desc)].last = end_; }

  BlockPlan plan;

 private:
  bool everything_lives_;
  int end_;
};

}  // namespace

std::size_t BlockPlan::block(NodeId value, const ValueDesc& desc) const {
  const auto& known = forms[static_cast<std::size_t>(value)];
  const auto found = std::find_if(known.begin(), known.end(), [&](const Form& form) { return form.desc == desc; });
  ensure(found != known.end(), "a value is read in a form that no step makes");
  return found->block;
}

BlockPlan assign_blocks(const Graph& graph, const ValueRules& rules, const PlanOptions& options,
                        std::span<const ChosenStep> steps, const ValueDesc& input,
                        std::span<const std::size_t> workspace_bytes) {
  Assignment assignment(graph, options, steps.size());
  assignment.produce(0, input, 0, nullptr);
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const StepProblem& problem = steps[s].problem;
    const int step = static_cast<int>(s);
    BlockPlan::StepBlocks blocks;
    for (std::size_t i = 0; i < problem.inputs.size(); ++i) {
      blocks.inputs.push_back(assignment.use(problem.inputs[i], problem.input_descs[i], step));
    }
    const std::vector<int> over = granted_aliases(steps[s], rules);
    for (std::size_t i = 0; i < problem.outputs.size(); ++i) {
      const std::size_t* overwritten = over[i] < 0 ? nullptr : &blocks.inputs[static_cast<std::size_t>(over[i])];
      blocks.outputs.push_back(assignment.produce(problem.outputs[i], problem.output_descs[i], step, overwritten));
    }
    blocks.workspace = assignment.workspace(workspace_bytes[s], step);
    assignment.plan.steps.push_back(std::move(blocks));
  }
  for (NodeId value = 0; value < graph.size(); ++value) {
    const auto& forms = assignment.plan.forms[static_cast<std::size_t>(value)];
    if (forms.empty()) continue;  // inside a set
    if (rules.retained(value)) assignment.keep(value, rules.plain(forms.front().desc));
    if (value == graph.output) assignment.keep(value, rules.external(forms.front().desc.dims));
  }
  return std::move(assignment.plan);
}

}  // namespace resnet
