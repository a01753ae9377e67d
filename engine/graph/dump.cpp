#include <charconv>

#include "graph/graph.hpp"

namespace resnet {

namespace {

std::string value_text(const AttrValue& value) {
  struct Text {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const {
      char buffer[32];
      return {buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr};
    }
    std::string operator()(const std::string& v) const { return v; }
    std::string operator()(const std::vector<std::int64_t>& v) const {
      std::string text = "[";
      for (std::size_t i = 0; i < v.size(); ++i) text.append(i == 0 ? "" : ",").append(std::to_string(v[i]));
      return text + "]";
    }
  };
  return std::visit(Text{}, value);
}

std::string attrs_text(const Node& node) {
  std::string text;
  for (const AttrSpec& spec : node.op->attrs) {
    const auto found = node.attrs.find(spec.name);
    if (found == node.attrs.end() || (!spec.required && found->second == spec.fallback)) continue;
    text.append(text.empty() ? "(" : ", ").append(spec.name).append("=").append(value_text(found->second));
  }
  return text.empty() ? text : text + ")";
}

}  // namespace

std::string dump(const Graph& graph, const std::vector<Dims>& shapes) {
  std::string text;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    text.append(node.name).append(" ").append(node.op->name).append(attrs_text(node));
    const std::size_t inputs = node.inputs.size() - (node.epilogue.residual ? 1 : 0);
    for (std::size_t i = 0; i < inputs; ++i) {
      text.append(i == 0 ? " <- " : ", ").append(graph.node(node.inputs[i]).value_name());
    }
    text.append(" [").append(to_string(shapes[static_cast<std::size_t>(id)])).append("]");
    for (const AffineStage& stage : node.epilogue.affine) {
      text.append(stage.kind == AffineStage::Kind::bias ? " + bias" : " + batch_norm");
    }
    if (node.epilogue.residual) text.append(" + add(").append(graph.node(node.inputs.back()).value_name()).append(")");
    if (node.epilogue.activation.kind != ActivationKind::none) {
      text.append(" + ").append(to_string(node.epilogue.activation.kind));
    }
    if (node.value_name() != node.name) text.append(" -> ").append(node.value_name());
    text.append("\n");
  }
  return text;
}

}  // namespace resnet
