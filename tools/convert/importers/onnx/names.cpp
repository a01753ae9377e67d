#include <algorithm>
#include <cctype>
#include <unordered_set>

#include "convert/importers/onnx/network.hpp"

namespace resnet::convert::onnx {
namespace {

constexpr std::size_t max_name = 200, max_depth = 32;

std::vector<std::string> parts_of(const std::string& name) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    if (end > begin) parts.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// Whether `part` is the operator's name, with a number where a module calls it several times: "Relu", "Relu_1".
bool names_operator(const std::string& part, const std::string& op) {
  if (!part.starts_with(op)) return false;
  if (part.size() == op.size()) return true;
  return part[op.size()] == '_' && part.size() > op.size() + 1 &&
         std::all_of(part.begin() + static_cast<std::ptrdiff_t>(op.size()) + 1, part.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string joined(const std::vector<std::string>& parts, char with) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : std::string(1, with)) + part;
  return text;
}

/// PyTorch repeats the path in every level: "layer1", "layer1.0".
std::vector<std::string> without_repetition(const std::vector<std::string>& parts) {
  std::vector<std::string> out;
  for (const std::string& part : parts) {
    if (!out.empty() && part.starts_with(out.back() + '.')) out.pop_back();
    out.push_back(part);
  }
  return out;
}

/// "layer1.0.conv1" of a node that reads "layer1.0.conv1.weight", or nothing: PyTorch's newer exporter numbers its
/// nodes.
std::string owner_of_weight(const Node& node) {
  constexpr std::string_view weight = ".weight";
  if (node.inputs.size() < 2 || !node.inputs[1].ends_with(weight)) return {};
  return node.inputs[1].substr(0, node.inputs[1].size() - weight.size());
}

std::string clean(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x21 || static_cast<unsigned char>(c) > 0x7E || c == '"' || c == '\\') c = '_';
  }
  if (text.size() > max_name) text.resize(max_name);
  return text;
}

}  // namespace

std::vector<std::string> layer_names(const std::vector<Node>& nodes) {
  // A module that holds others does not stand for one of its own nodes: "/layer1.0/Add" is not "layer1.0".
  std::unordered_set<std::string> containers;
  for (const Node& node : nodes) {
    const auto parts = parts_of(node.name);
    if (parts.size() < 3 || parts.size() > max_depth || !names_operator(parts.back(), node.op)) continue;
    std::string path;
    for (std::size_t i = 0; i + 2 < parts.size(); ++i) containers.insert(path += '/' + parts[i]);
  }
  std::vector<std::string> names;
  names.reserve(nodes.size());
  for (const Node& node : nodes) {
    auto parts = parts_of(node.name);
    const std::string owner = node.name.starts_with("node_") ? owner_of_weight(node) : std::string();
    if (!owner.empty()) {
      names.push_back(clean(owner));
    } else if (!parts.empty() && names_operator(parts.back(), node.op)) {
      const std::string op = parts.back();
      parts.pop_back();
      const bool container = parts.empty() || containers.contains('/' + joined(parts, '/'));
      parts = without_repetition(parts);
      if (container) {
        parts.push_back(lower(op));
      } else {
        parts.back() += op.substr(node.op.size());
      }
      names.push_back(clean(joined(parts, '.')));
    } else if (!parts.empty()) {
      names.push_back(clean(joined(parts, '/')));
    } else {
      names.push_back(clean(node.outputs.empty() || node.outputs[0].empty() ? lower(node.op) : node.outputs[0]));
    }
    if (names.back().empty()) names.back() = "layer";
  }
  return names;
}

std::string place_of(const Node& node) {
  const std::string name =
      !node.name.empty() || node.outputs.empty() ? '"' + node.name + '"' : "of \"" + node.outputs[0] + '"';
  return "node " + name + " (" + (node.domain.empty() ? "" : node.domain + "::") + node.op + ')';
}

}  // namespace resnet::convert::onnx
