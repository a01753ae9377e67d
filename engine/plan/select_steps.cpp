#include <algorithm>
#include <functional>
#include <queue>

#include "base/check.hpp"
#include "plan/candidates.hpp"
#include "plan/cover.hpp"

namespace resnet {
namespace {

/// Order of execution: producers first, among ready steps the one with the lowest node.
std::vector<std::size_t> execution_order(const Graph& graph, const ValueRules& rules,
                                         const std::vector<ChosenStep>& steps) {
  std::vector<std::size_t> step_of(graph.nodes.size());
  for (std::size_t s = 0; s < steps.size(); ++s) {
    for (const NodeId node : steps[s].problem.nodes) step_of[static_cast<std::size_t>(node)] = s;
  }
  std::vector<std::size_t> missing(steps.size());  // inputs that no step has produced yet
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const auto& inputs = steps[s].problem.inputs;
    missing[s] = inputs.size() - static_cast<std::size_t>(std::count(inputs.begin(), inputs.end(), 0));
    if (missing[s] == 0) ready.push(s);
  }
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    const std::size_t s = ready.top();
    ready.pop();
    order.push_back(s);
    for (const NodeId output : steps[s].problem.outputs) {
      std::vector<std::size_t> users;
      for (const NodeId user : rules.consumers(output)) users.push_back(step_of[static_cast<std::size_t>(user)]);
      std::sort(users.begin(), users.end());
      users.erase(std::unique(users.begin(), users.end()), users.end());
      for (const std::size_t user : users) {
        if (user != s && --missing[user] == 0) ready.push(user);
      }
    }
  }
  ensure(order.size() == steps.size(), "the chosen steps wait for each other");
  return order;
}

/// Writes the final list: steps in order, conversions where a form is missing.
class Emitter {
 public:
  explicit Emitter(CandidateTable& table) : table_(table), forms_(table.graph().nodes.size()) {
    produce(0, table.rules().external(table.shapes().front()));
  }

  void emit(ChosenStep step) {
    const StepProblem& problem = step.problem;
    for (std::size_t i = 0; i < problem.inputs.size(); ++i) require(problem.inputs[i], problem.input_descs[i]);
    list.push_back(std::move(step));
    const StepProblem done = list.back().problem;
    for (std::size_t i = 0; i < done.outputs.size(); ++i) produce(done.outputs[i], done.output_descs[i]);
  }

  std::vector<ChosenStep> list;

 private:
  void produce(NodeId value, const ValueDesc& desc) {
    forms_[static_cast<std::size_t>(value)] = {desc};
    for (const ValueDesc& form : table_.rules().demands(value, desc)) require(value, form);
  }

  void require(NodeId value, const ValueDesc& form) {
    auto& forms = forms_[static_cast<std::size_t>(value)];
    if (std::find(forms.begin(), forms.end(), form) != forms.end()) return;
    const auto time = table_.conversion_time(value, forms.front(), form);
    ensure(time.has_value(), "the cover counts on a conversion that does not exist");
    list.push_back(
        {table_.conversion(), table_.conversion_problem(value, forms.front(), form), time->us, {}, time->measured});
    forms.push_back(form);
  }

  CandidateTable& table_;
  std::vector<std::vector<ValueDesc>> forms_;  ///< per value; the first is as produced
};

}  // namespace

std::vector<ChosenStep> select_steps(const Graph& graph, const std::vector<Dims>& shapes,
                                     std::span<const Implementation* const> implementations,
                                     const Implementation* conversion, const DeviceInfo& device,
                                     const PlanOptions& options) {
  CandidateTable table(graph, shapes, implementations, conversion, device, options);
  std::vector<ChosenStep> cover = cheapest_cover(table);
  Emitter emitter(table);
  for (const std::size_t s : execution_order(graph, table.rules(), cover)) emitter.emit(std::move(cover[s]));
  return std::move(emitter.list);
}

}  // namespace resnet
