#include <algorithm>
#include <cstdio>

#include "plan/plan.hpp"

namespace resnet {
namespace {

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

struct AttrText {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const { return number_text(value); }
  std::string operator()(const std::string& value) const { return value; }
  std::string operator()(const std::vector<std::int64_t>& values) const {
    std::string text = "[";
    for (const std::int64_t value : values) text += (text.size() > 1 ? "," : "") + std::to_string(value);
    return text + ']';
  }
};

std::string activation_text(const Activation& activation) {
  switch (activation.kind) {
    case ActivationKind::none:
      return {};
    case ActivationKind::relu:
      return "+relu";
    case ActivationKind::relu6:
      return "+relu6";
    case ActivationKind::leaky_relu:
      return "+leaky_relu(" + number_text(activation.alpha) + ')';
    case ActivationKind::sigmoid:
      return "+sigmoid";
    case ActivationKind::hard_sigmoid:
      return "+hard_sigmoid(" + number_text(activation.alpha) + ',' + number_text(activation.beta) + ')';
    case ActivationKind::silu:
      return "+silu";
  }
  return {};
}

/// "$0" is the problem's first input, "%0" the value of its first node.
std::string operand_text(const StepProblem& problem, NodeId value) {
  const auto inner = std::find(problem.nodes.begin(), problem.nodes.end(), value);
  if (inner != problem.nodes.end()) return '%' + std::to_string(inner - problem.nodes.begin());
  const auto input = std::find(problem.inputs.begin(), problem.inputs.end(), value);
  return '$' + std::to_string(input - problem.inputs.begin());
}

std::string node_text(const StepProblem& problem, const Node& node) {
  std::string text = std::string(node.op->name) + '(';
  for (std::size_t i = 0; i < node.inputs.size(); ++i)
    text += (i > 0 ? "," : "") + operand_text(problem, node.inputs[i]);
  for (const auto& [name, value] : node.attrs) text += ' ' + name + '=' + std::visit(AttrText{}, value);
  for (std::size_t i = 0; i < node.weights.size(); ++i) {
    if (node.weights[i].empty()) continue;
    const auto tensor = problem.graph->tensors.find(node.weights[i]);
    text += ' ' + std::string(node.op->weights[i].role) + '=';
    if (tensor != problem.graph->tensors.end()) text += AttrText{}(tensor->second.shape);
  }
  text += ')';
  if (!node.epilogue.affine.empty()) text += "+affine";
  if (node.epilogue.residual) text += "+residual";
  return text + activation_text(node.epilogue.activation);
}

std::string descs_text(const std::vector<ValueDesc>& descs) {
  std::string text;
  for (const ValueDesc& desc : descs) text += (text.empty() ? "" : ", ") + to_string(desc);
  return text;
}

}  // namespace

std::string problem_text(const StepProblem& problem) {
  std::string text;
  for (const NodeId node : problem.nodes)
    text += (text.empty() ? "" : " ") + node_text(problem, problem.graph->node(node));
  if (problem.nodes.empty()) text = "convert";
  text += ": " + descs_text(problem.input_descs) + " -> " + descs_text(problem.output_descs);
  if (problem.outputs.size() > 1) {
    for (const NodeId output : problem.outputs) text += ' ' + operand_text(problem, output);
  }
  text += ", " + std::string(to_string(problem.precision));
  if (problem.threads != 1) text += ", threads " + std::to_string(problem.threads);
  if (problem.deterministic) text += ", deterministic";
  return text;
}

}  // namespace resnet
