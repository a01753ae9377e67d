#include <set>
#include <utility>

#include "base/json.hpp"
#include "plan/plan.hpp"

namespace resnet {
namespace {

Json layers_json(const StepProblem& problem) {
  Json layers = Json::array();
  for (const NodeId id : problem.nodes) {
    const Node& node = problem.graph->node(id);
    if (node.layers.empty()) layers.push(node.name);
    for (const auto& layer : node.layers) layers.push(layer);
  }
  return layers;
}

std::string outputs_text(const StepProblem& problem) {
  std::string text;
  for (const ValueDesc& desc : problem.output_descs) text += (text.empty() ? "" : ", ") + to_string(desc);
  return text;
}

Json step_json(const ChosenStep& chosen, const Step& step) {
  Json refusals = Json::array();
  for (const Refusal& refusal : chosen.refusals) {
    refusals.push(Json::Object{{"implementation", refusal.implementation}, {"reason", refusal.reason}});
  }
  Json json = Json::Object{{"layers", layers_json(chosen.problem)},
                           {"implementation", chosen.implementation->name},
                           {"detail", step.detail()},
                           {"estimate_us", chosen.estimate_us},
                           {"time", chosen.measured ? "measured" : "estimated"},
                           {"output", outputs_text(chosen.problem)},
                           {"workspace_bytes", step.workspace_bytes()},
                           {"refusals", std::move(refusals)}};
  if (chosen.problem.nodes.empty()) {
    json.set("converts", chosen.problem.graph->node(chosen.problem.inputs.front()).value_name());
  }
  return json;
}

/// Requests that share a buffer count once.
std::size_t weight_bytes(const Plan& plan) {
  std::set<std::pair<std::vector<std::string>, std::string>> seen;
  std::size_t bytes = 0;
  for (const WeightRequest& request : plan.weights) {
    if (seen.emplace(request.tensors, request.format).second) bytes += request.bytes;
  }
  return bytes;
}

}  // namespace

std::string describe_plan_json(const Plan& plan) {
  Json blocks = Json::array();
  for (const Plan::Block& block : plan.blocks) {
    if (block.bytes == 0) continue;
    Json values = Json::array();
    for (const std::string& value : block.values) values.push(value);
    blocks.push(Json::Object{{"values", std::move(values)},
                             {"offset", block.offset},
                             {"bytes", block.bytes},
                             {"first_step", block.first_step},
                             {"last_step", block.last_step}});
  }
  Json steps = Json::array();
  for (std::size_t s = 0; s < plan.steps.size(); ++s) steps.push(step_json(plan.chosen[s], *plan.steps[s]));
  return Json(Json::Object{{"steps", std::move(steps)},
                           {"memory", Json::Object{{"arena_bytes", plan.arena.arena_bytes},
                                                   {"live_lower_bound_bytes", plan.arena.lower_bound_bytes},
                                                   {"weight_bytes", weight_bytes(plan)},
                                                   {"blocks", std::move(blocks)}}}})
      .dump(2);
}

}  // namespace resnet
