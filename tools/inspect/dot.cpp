#include "inspect/dot.hpp"

#include <map>

#include "common/text.hpp"
#include "inspect/shape_text.hpp"

namespace resnet::tools {
namespace {

/// A string of the dot language; a line break becomes the language's own.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

/// "3x3, stride 2x2, groups 32": what tells layers of one op apart.
std::string attributes(const Json& attrs) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (const Json* kernel = attrs.find("kernel")) add(shape_text(*kernel));
  if (const Json* stride = attrs.find("stride"); stride && shape_text(*stride) != "1x1")
    add("stride " + shape_text(*stride));
  if (const Json* groups = attrs.find("groups"); groups && groups->as_int() != 1)
    add("groups " + std::to_string(groups->as_int()));
  return text;
}

}  // namespace

std::string dot_text(const std::string& path, const Json& model) {
  std::string nodes, edges;
  struct Value {
    std::string id, shape;
  };
  std::map<std::string, Value> values;
  for (const Json& layer : model.at("layers").as_array()) {
    const std::string& name = layer.at("name").as_string();
    values[name] = {'n' + std::to_string(values.size()), shape_text(layer.at("shape"))};
  }
  for (const Json& layer : model.at("layers").as_array()) {
    const std::string& name = layer.at("name").as_string();
    const std::string id = values.at(name).id, what = attributes(layer.at("attrs"));
    const std::int64_t parameters = layer.at("parameters").as_int();
    std::string label = printable(name) + '\n' + layer.at("op").as_string() + (what.empty() ? "" : ", " + what);
    if (parameters > 0) label += '\n' + grouped(parameters) + " parameters";
    nodes += "  " + id + " [label=" + quoted(label) + (parameters > 0 ? ", fillcolor=lightblue" : "") + "];\n";
    for (const Json& input : layer.at("inputs").as_array()) {
      const Value& from = values.at(input.as_string());
      edges += "  " + from.id + " -> " + id + " [label=" + quoted(from.shape) + "];\n";
    }
  }
  return "digraph " + quoted(printable(path)) +
         " {\n  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\"];\n"
         "  edge [fontname=\"sans-serif\", fontsize=10];\n" +
         nodes + edges + "}\n";
}

}  // namespace resnet::tools
