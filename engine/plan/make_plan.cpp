#include <algorithm>
#include <map>
#include <utility>

#include "base/check.hpp"
#include "base/log.hpp"
#include "base/names.hpp"
#include "plan/placement.hpp"

namespace resnet {
namespace {

/// The value, downstream of `node`, that is the first to have memory.
NodeId nearest_value(NodeId node, const Graph& graph, const ValueRules& rules, const std::vector<bool>& exists) {
  // Every path from an inner value leads to an output of its set.
  while (!exists[static_cast<std::size_t>(node)]) {
    const auto& users = rules.consumers(node);
    if (users.empty()) return graph.output;
    node = users.front();
  }
  return node;
}

void list_absorbed(Plan& plan, const ValueRules& rules) {
  std::vector<bool> exists(plan.graph.nodes.size());
  exists[0] = true;
  for (const ChosenStep& step : plan.chosen) {
    for (const NodeId output : step.problem.outputs) exists[static_cast<std::size_t>(output)] = true;
  }
  for (NodeId id = 0; id < plan.graph.size(); ++id) {
    const Node& node = plan.graph.node(id);
    const std::string& nearest = plan.graph.node(nearest_value(id, plan.graph, rules, exists)).value_name();
    for (const auto& layer : node.layers) {
      if (layer != nearest) plan.absorbed.emplace(layer, nearest);
    }
  }
}

void check_retain_names(const Graph& graph, const PlanOptions& options) {
  std::set<std::string, std::less<>> values;
  std::map<std::string, std::string, std::less<>> absorbed;
  for (const Node& node : graph.nodes) {
    values.insert(node.value_name());
    for (const auto& layer : node.layers) absorbed.emplace(layer, node.value_name());
  }
  for (const auto& name : options.retain_names) {
    if (values.contains(name)) continue;
    if (const auto found = absorbed.find(name); found != absorbed.end()) {
      fail(ErrorCode::invalid_argument,
           "layer \"" + name + "\" has no value of its own: it became part of \"" + found->second + '"', "retain_names",
           "retain \"" + found->second + "\" instead");
    }
    const std::vector<std::string> known(values.begin(), values.end());
    fail(ErrorCode::invalid_argument, "no layer is called \"" + name + '"', "retain_names",
         "did you mean \"" + nearest_name(name, known) + "\"?");
  }
}

void warn_once(const RefusedProblems& known, const std::string& name, const ChosenStep& chosen,
               const std::string& reason) {
  const auto first = known.lower_bound({name, {}});
  if (first != known.end() && first->first.first == name) return;
  log(LogLevel::warning, name + " is not used for layer " + chosen.problem.node().value_name() + ": " + reason +
                             "; describe_json() lists every such layer");
}

/// Prepares every chosen step. What entries refuse only now goes into `options`. @return whether there are all steps
bool prepare_steps(Plan& plan, const DeviceInfo& device, PlanOptions& options) {
  plan.steps.clear();
  for (const ChosenStep& chosen : plan.chosen) {
    const std::string name(chosen.implementation->name);
    try {
      plan.steps.push_back(chosen.implementation->prepare(chosen.problem, device));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unsupported || chosen.problem.nodes.empty()) throw;
      warn_once(options.refused_problems, name, chosen, error.message());
      options.refused_problems.emplace(std::pair(name, problem_text(chosen.problem)), error.message());
      continue;
    }
    ensure(plan.steps.back() != nullptr, "prepare() of " + name + " returned nothing");
  }
  return plan.steps.size() == plan.chosen.size();
}

/// Blocks, offsets and the places that callers look for.
void place(Plan& plan, const PlanOptions& options) {
  const ValueRules rules(plan.graph, options);
  const ValueDesc input = rules.external(plan.shapes.front());
  std::vector<std::size_t> workspace_bytes;
  for (const auto& step : plan.steps) workspace_bytes.push_back(step->workspace_bytes());
  BlockPlan blocks = assign_blocks(plan.graph, rules, options, plan.chosen, input, workspace_bytes);
  const std::size_t input_block = blocks.block(0, input);
  const bool enters_converted = !plan.chosen.empty() && plan.chosen[0].problem.nodes.empty() &&
                                plan.chosen.size() > 1 && blocks.blocks[input_block].last == 0;
  // No form of the input is larger than f32: it may come into the place that step 0 reads, where a run begins behind
  // that step. Else it needs one of its own until step 0, whose output may then take it.
  const bool extra_block = options.stage_input && !enters_converted;
  if (extra_block) blocks.blocks.push_back({input.bytes(), 0, 0});
  plan.arena = plan_memory(blocks.blocks);
  for (std::size_t b = 0; b < blocks.blocks.size(); ++b)
    plan.blocks.push_back(
        {{}, plan.arena.offsets[b], blocks.blocks[b].bytes, blocks.blocks[b].first, blocks.blocks[b].last});
  for (NodeId value = 0; value < plan.graph.size(); ++value) {
    for (const BlockPlan::Form& form : blocks.forms[static_cast<std::size_t>(value)])
      plan.blocks[form.block].values.push_back(plan.graph.node(value).value_name());
  }
  if (options.stage_input) plan.staging = extra_block ? plan.arena.offsets.back() : plan.arena.offsets[input_block];

  const auto offsets = [&](const std::vector<std::size_t>& list) {
    std::vector<std::size_t> places;
    for (const std::size_t block : list) places.push_back(plan.arena.offsets[block]);
    return places;
  };
  for (const auto& step : blocks.steps) {
    plan.memory.push_back({offsets(step.inputs), offsets(step.outputs), plan.arena.offsets[step.workspace]});
  }
  const auto placement = [&](NodeId value, const ValueDesc& desc) {
    const std::size_t block = blocks.block(value, desc);
    return Placement{desc, plan.arena.offsets[block], blocks.blocks[block].first, blocks.blocks[block].last};
  };
  plan.input = placement(0, input);
  plan.entry = enters_converted ? placement(0, plan.chosen[0].problem.output_descs[0]) : plan.input;
  plan.entry_step = enters_converted ? 1 : 0;
  plan.output = placement(plan.graph.output, rules.external(plan.shapes[static_cast<std::size_t>(plan.graph.output)]));
  for (NodeId value = 0; value < plan.graph.size(); ++value) {
    const auto& forms = blocks.forms[static_cast<std::size_t>(value)];
    if (forms.empty() || !rules.retained(value)) continue;
    plan.retained.emplace(plan.graph.node(value).value_name(), placement(value, rules.plain(forms.front().desc)));
  }
  list_absorbed(plan, rules);
}

}  // namespace

std::unique_ptr<Plan> make_plan(const Graph& optimised, std::int64_t n, std::int64_t h, std::int64_t w,
                                Backend& backend, const PlanOptions& options) {
  auto plan = std::make_unique<Plan>();
  plan->graph = specialise(optimised, infer_shapes(optimised, n, h, w), PassOptions{options.retain_names});
  plan->shapes = infer_shapes(plan->graph, n, h, w);
  check_retain_names(plan->graph, options);
  PlanOptions known = options;
  for (;;) {
    const std::size_t refused = known.refused_problems.size();
    plan->chosen = select_steps(plan->graph, plan->shapes, backend.implementations(), backend.conversion(),
                                backend.device(), known);
    if (prepare_steps(*plan, backend.device(), known)) break;
    ensure(known.refused_problems.size() > refused, "a refused problem was offered again");
  }
  plan->refused_problems = std::move(known.refused_problems);
  for (const auto& step : plan->steps) {
    const auto weights = step->weights();
    plan->weights.insert(plan->weights.end(), weights.begin(), weights.end());
  }
  place(*plan, options);
  return plan;
}

void bind_plan(Plan& plan, std::byte* arena, std::span<const std::byte* const> weights) {
  std::vector<std::byte*> inputs, outputs;
  std::size_t first_weight = 0;
  for (std::size_t s = 0; s < plan.steps.size(); ++s) {
    const Plan::StepMemory& memory = plan.memory[s];
    inputs.clear();
    outputs.clear();
    for (const std::size_t offset : memory.inputs) inputs.push_back(arena + offset);
    for (const std::size_t offset : memory.outputs) outputs.push_back(arena + offset);
    const std::size_t count = plan.steps[s]->weights().size();
    plan.steps[s]->bind({inputs, outputs, weights.subspan(first_weight, count), arena + memory.workspace});
    first_weight += count;
  }
  ensure(first_weight == weights.size(), "bind_plan() got another number of weights than the plan has");
}

}  // namespace resnet
