// From an ONNX graph to the engine's layers: which nodes count, in which order, and what the input is.
#include <algorithm>
#include <set>

#include "base/check.hpp"
#include "convert/importers/onnx/network.hpp"
#include "convert/importers/onnx/operators.hpp"
#include "ops/rule.hpp"

namespace resnet::convert::onnx {
namespace {

constexpr const char* damaged_graph = "the file is damaged: export it again";
constexpr std::int64_t default_size = 224;  // of an input whose height and width the file leaves open

}  // namespace

void Network::index_values() {
  for (const Tensor& tensor : model_.initializers) {
    if (!initializers_.emplace(tensor.view.name, &tensor).second) {
      reject("two weights have the name \"" + tensor.view.name + '"', damaged_graph);
    }
  }
  std::vector<std::string> inputs;
  for (const ValueInfo& input : model_.inputs) {  // before IR version 4 the weights are inputs as well
    if (!initializers_.contains(input.name)) inputs.push_back(input.name);
  }
  const auto listed = [](const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 5); ++i) text += (i == 0 ? "" : ", ") + names[i];
    return text + (names.size() > 5 ? " ..." : "");
  };
  if (inputs.size() != 1) {
    reject("has " + std::to_string(inputs.size()) + " inputs (" + listed(inputs) + "), an image classifier has one",
           "export the model with the picture as its only input");
  }
  std::vector<std::string> outputs;
  for (const ValueInfo& output : model_.outputs) outputs.push_back(output.name);
  if (outputs.size() != 1) {
    reject("has " + std::to_string(outputs.size()) + " outputs (" + listed(outputs) + "), one is read",
           "export the model with its logits as the only output");
  }
  input_ = inputs[0];
  output_ = outputs[0];
  for (std::size_t i = 0; i < model_.nodes.size(); ++i) {
    for (std::size_t j = 0; j < model_.nodes[i].outputs.size(); ++j) {
      const std::string& name = model_.nodes[i].outputs[j];
      if (name.empty()) continue;
      node_ = &model_.nodes[i];
      if (name == input_ || initializers_.contains(name) || !producers_.emplace(name, Producer{i, j}).second) {
        reject("makes \"" + name + "\", which exists already", damaged_graph);
      }
    }
  }
  node_ = nullptr;
}

std::vector<std::size_t> Network::reachable_nodes() {
  enum class State : char { unseen, open, done };
  std::vector<State> state(model_.nodes.size(), State::unseen);
  std::vector<std::size_t> order;
  struct Frame {
    std::size_t node, next_input;
  };
  std::vector<Frame> stack;
  const auto visit = [&](const std::string& name) {
    if (name.empty() || name == input_ || initializers_.contains(name)) return;
    const auto producer = producers_.find(name);
    if (producer == producers_.end()) {
      reject("reads \"" + name + "\", which is no input, no weight and no node's output", damaged_graph);
    }
    const std::size_t i = producer->second.node;
    if (state[i] == State::open) {
      node_ = &model_.nodes[i];
      reject("needs its own output: the graph has a cycle", damaged_graph);
    }
    if (state[i] == State::done) return;
    state[i] = State::open;
    stack.push_back({i, 0});
  };
  visit(output_);
  while (!stack.empty()) {
    const Frame top = stack.back();
    const Node& node = model_.nodes[top.node];
    node_ = &node;
    if (top.next_input == node.inputs.size()) {
      state[top.node] = State::done;
      order.push_back(top.node);
      stack.pop_back();
      continue;
    }
    ++stack.back().next_input;
    visit(node.inputs[top.next_input]);
  }
  node_ = nullptr;
  return order;
}

void Network::check_operators(const std::vector<std::size_t>& order) const {
  static constexpr std::string_view quantised[] = {"QuantizeLinear", "DequantizeLinear", "QLinearConv",
                                                   "ConvInteger",    "QLinearMatMul",    "DynamicQuantizeLinear",
                                                   "MatMulInteger"};
  static constexpr std::string_view subgraphs[] = {"If", "Loop", "Scan"};
  std::set<std::string> seen;
  std::string list;
  std::string next = other_export;
  for (const std::size_t i : order) {
    const Node& node = model_.nodes[i];
    const bool default_domain = node.domain.empty() || node.domain == "ai.onnx";
    if (default_domain && find_operator(node.op) != nullptr) continue;
    if (!seen.insert(node.domain + "::" + node.op).second) continue;
    if (std::find(std::begin(quantised), std::end(quantised), node.op) != std::end(quantised)) {
      next = "the model is quantised: export the float model";
    } else if (std::find(std::begin(subgraphs), std::end(subgraphs), node.op) != std::end(subgraphs)) {
      next = "the model holds control flow: export it from torch.export or without Python conditions";
    } else if (node.op == "LogSoftmax") {
      next = "export the model without its last LogSoftmax: logits rank the same";
    }
    if (seen.size() <= 5) list += (list.empty() ? "" : ", ") + place_of(node);
  }
  if (seen.empty()) return;
  if (seen.size() > 5) list += " and " + std::to_string(seen.size() - 5) + " more";
  fail(ErrorCode::import_failed, "uses operators that no layer stands for: " + list, "the graph", next);
}

void Network::count_uses(const std::vector<std::size_t>& order) {
  for (const std::size_t i : order) {
    for (const std::string& name : model_.nodes[i].inputs) ++uses_[name];
  }
  ++uses_[output_];
}

/// TensorFlow's exporter keeps pictures as N x H x W x C and turns them behind casts and a normalisation; those of one
/// channel by a Reshape.
bool Network::input_is_nhwc(const std::vector<std::size_t>& order) const {
  static constexpr std::string_view passing[] = {"Cast", "Identity", "Div", "Mul", "Sub", "Add", "Pad"};
  std::string name = input_;
  for (const std::size_t i : order) {  // one pass, since order is topological
    const Node& node = model_.nodes[i];
    if (std::find(node.inputs.begin(), node.inputs.end(), name) == node.inputs.end()) continue;
    if (node.op == "Transpose") {
      const auto perm = node.attributes.find("perm");
      return perm != node.attributes.end() && perm->second.integers == std::vector<std::int64_t>{0, 3, 1, 2};
    }
    if (node.op == "Reshape") {
      const std::vector<std::int64_t>& dims = input_info().dims;
      return dims.size() == 4 && dims[3] == 1 && dims[1] != 1;
    }
    if (node.outputs.empty() || std::find(std::begin(passing), std::end(passing), node.op) == std::end(passing)) {
      return false;
    }
    name = node.outputs[0];
  }
  return false;
}

const ValueInfo& Network::input_info() const {
  return *std::find_if(model_.inputs.begin(), model_.inputs.end(),
                       [&](const ValueInfo& input) { return input.name == input_; });
}

void Network::add_input(const std::vector<std::size_t>& order) {
  const ValueInfo& info = input_info();
  const std::string where = "input \"" + input_ + '"';
  static constexpr std::string_view types[] = {"FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "UINT8"};
  if (std::find(std::begin(types), std::end(types), info.type) == std::end(types)) {
    fail(ErrorCode::import_failed, "holds " + info.type + ", pictures are expected", where, other_export);
  }
  if (info.dims.size() != 4) {
    fail(ErrorCode::import_failed,
         "has " + (info.has_shape ? std::to_string(info.dims.size()) + " dimensions" : std::string("no known shape")) +
             ", pictures N x C x H x W or N x H x W x C are expected",
         where, "export the model with the shape of its input");
  }
  Value value;
  value.axes =
      input_is_nhwc(order) ? Axes{Axis::n, Axis::h, Axis::w, Axis::c} : Axes{Axis::n, Axis::c, Axis::h, Axis::w};
  value.dims.n = 1;
  images_ = info.dims[0];
  for (std::size_t i = 1; i < 4; ++i) {
    const std::int64_t size = info.dims[i];
    if (value.axes[i] == Axis::c && size < 0) {
      fail(ErrorCode::import_failed, "does not say how many channels it has", where,
           "export the model with a fixed number of channels");
    }
    (value.axes[i] == Axis::c   ? value.dims.c
     : value.axes[i] == Axis::h ? value.dims.h
                                : value.dims.w) = size < 0 ? default_size : size;
  }
  LayerSpec layer;
  layer.name = "input";
  layer.op = "input";
  layer.attrs = {{"channels", value.dims.c}, {"height", value.dims.h}, {"width", value.dims.w}};
  ops::checked_dims({layer.name, &layer.attrs, {}, {}}, value.dims);
  value.layer = layer.name;
  layer_index_[layer.name] = 0;
  layers_.push_back(std::move(layer));
  values_[input_] = std::move(value);
}

/// What the standard does not define would be lost without a word: a damaged name, or a dialect of some exporter.
void Network::check_definition(const Operator& definition) const {
  for (const auto& [name, attribute] : node_->attributes) {
    if (!definition.defines(name))
      reject("has the attribute \"" + name + "\", which ONNX does not define for it", damaged_graph);
  }
  std::size_t inputs = node_->inputs.size();
  while (inputs > 0 && node_->inputs[inputs - 1].empty()) --inputs;
  if (inputs > definition.inputs) {
    reject("has " + std::to_string(inputs) + " inputs, " + std::to_string(definition.inputs) + " at most are defined",
           damaged_graph);
  }
}

void Network::step() {
  const Operator& definition = *find_operator(node_->op);
  check_definition(definition);
  bool constant = !node_->inputs.empty();
  for (std::size_t i = 0; i < node_->inputs.size(); ++i) constant = constant && !is_activation(i);
  if (node_->outputs.empty()) reject("has no output");
  for (std::size_t i = 1; i < node_->outputs.size(); ++i) {
    if (uses(node_->outputs[i]) > 0) reject("its output " + std::to_string(i) + " is used, which no layer computes");
  }
  if (constant) {
    fold(*this);
  } else {
    definition.handler(*this);
  }
}

Imported Network::run() {
  if (model_.opset < 7 || model_.opset > 23) {
    fail(ErrorCode::import_failed,
         "uses version " + std::to_string(model_.opset) + " of ONNX's operators, 7 to 23 are read", "opset_import",
         "export it with opset_version=17");
  }
  index_values();
  const auto order = reachable_nodes();
  check_operators(order);
  count_uses(order);
  add_input(order);
  const std::vector<std::string> names = layer_names(model_.nodes);
  for (const auto& [name, tensor] : initializers_) {
    if (uses(name) == 0) continue;
    Value value;
    value.kind = ValueKind::constant;
    value.tensor = *tensor;
    values_[name] = std::move(value);
  }
  for (const std::size_t i : order) {
    node_ = &model_.nodes[i];
    node_layer_ = names[i];
    step();
  }
  node_ = nullptr;
  const auto output = values_.find(output_);
  if (output == values_.end() || output->second.kind != ValueKind::activation || layers_.size() < 2) {
    reject("the output \"" + output_ + "\" does not depend on the picture");
  }
  if (output->second.mean_h || output->second.mean_w) {
    reject("the output \"" + output_ + "\" is a mean over the height or the width alone, which no layer computes");
  }

  Imported result;
  result.format = "ONNX";
  for (LayerSpec& layer : layers_) {
    const auto affine = affines_.find(layer.name);
    if (affine != affines_.end()) finish_affine(layer, affine->second);
  }
  Recipe& recipe = result.graph.emplace();
  recipe.name = model_.graph_name.empty() ? "onnx graph" : "onnx graph " + model_.graph_name;
  recipe.why = std::to_string(order.size()) + " nodes, operators of version " + std::to_string(model_.opset) +
               (model_.producer.empty() ? "" : ", written by " + model_.producer);
  recipe.output = output->second.layer;
  // A network that normalises its input itself wants pictures in another range than torchvision's.
  const bool normalises = std::any_of(affines_.begin(), affines_.end(), [&](const auto& affine) {
    return layers_[layer_index_.at(affine.first)].inputs.front() == layers_.front().name;
  });
  const ValueInfo& info = input_info();
  const std::int64_t channels = values_.at(input_).dims.c;
  if (info.type == "UINT8") {
    if (channels == 1 || channels == 3) recipe.preset = "raw255";
  } else if (normalises) {
    recipe.raw_pixels = true;
  } else if (channels == 3) {
    recipe.preset = "torchvision";
  }
  std::size_t unused = 0;
  for (const auto& [name, tensor] : initializers_) unused += uses(name) == 0 ? 1u : 0u;
  if (unused > 0)
    result.notes.push_back(std::to_string(unused) + " tensors that do not lead to the output are left out");
  const std::size_t unreached = model_.nodes.size() - order.size();
  if (unreached > 0) {
    result.notes.push_back(std::to_string(unreached) + " nodes that do not lead to the output are left out");
  }
  recipe.layers = std::move(layers_);
  result.tensors = std::move(tensors_);
  result.storages = model_.storages;
  return result;
}

}  // namespace resnet::convert::onnx
