#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>

#include "base/check.hpp"
#include "graph/edit.hpp"
#include "graph/graph.hpp"

namespace resnet {

namespace {

std::string where(const LayerSpec& layer) { return "layer '" + layer.name + "'"; }

using Index = std::unordered_map<std::string_view, std::size_t>;

Index index_names(const std::vector<LayerSpec>& layers) {
  Index index;
  index.reserve(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].name.empty()) {
      fail(ErrorCode::bad_graph, "layer has no name", "layer number " + std::to_string(i));
    }
    if (!index.emplace(layers[i].name, i).second) {
      fail(ErrorCode::bad_graph, "two layers have this name", where(layers[i]), "layer names must be unique");
    }
  }
  return index;
}

const OpDef* known_op(const LayerSpec& layer) {
  const OpDef* op = find_op(layer.op);
  if (!op || op->internal) {
    fail(ErrorCode::unknown_layer, "unknown op '" + layer.op + "'", where(layer),
         "docs/ops.md lists the ops that this version knows");
  }
  return op;
}

/// The tensors of a layer in the order of its op's weights, checked to exist and to be of a float type.
std::vector<std::string> resolve_weights(const OpDef& op, const LayerSpec& layer, const TensorTable& tensors) {
  for (const auto& [role, tensor] : layer.weights) {
    const auto same_role = [&role = role](const WeightSpec& spec) { return spec.role == role; };
    if (std::none_of(op.weights.begin(), op.weights.end(), same_role)) {
      fail(ErrorCode::bad_attribute,
           "op '" + layer.op + "' has no weight '" + role + "' (given: tensor '" + tensor + "')", where(layer));
    }
    const auto found = tensors.find(tensor);
    if (found == tensors.end()) {
      fail(ErrorCode::missing_tensor,
           "weight '" + role + "' names the tensor '" + tensor + "', which the file does not hold", where(layer));
    }
    const DType dtype = found->second.dtype;
    if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16) {
      fail(ErrorCode::bad_dtype,
           "tensor '" + tensor + "' (weight '" + role + "') has type " + std::string(to_string(dtype)), where(layer),
           "weights are f32, f16 or bf16");
    }
  }
  std::vector<std::string> resolved;
  for (const WeightSpec& spec : op.weights) {
    const auto given = layer.weights.find(spec.role);
    if (given == layer.weights.end() && spec.required) {
      fail(
          ErrorCode::missing_tensor,
          "op '" + layer.op + "' needs the weight '" + std::string(spec.role) + "' of shape " + std::string(spec.shape),
          where(layer));
    }
    resolved.push_back(given == layer.weights.end() ? std::string() : given->second);
  }
  return resolved;
}

/// Positions of every layer's inputs in `layers`.
std::vector<std::vector<std::size_t>> resolve_inputs(const std::vector<LayerSpec>& layers, const Index& index) {
  std::vector<std::vector<std::size_t>> inputs(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    for (const std::string& name : layers[i].inputs) {
      const auto found = index.find(name);
      if (found == index.end()) {
        fail(ErrorCode::bad_graph, "input '" + name + "' is no layer", where(layers[i]));
      }
      inputs[i].push_back(found->second);
    }
  }
  return inputs;
}

[[noreturn]] void fail_cycle(const std::vector<LayerSpec>& layers, const std::vector<std::size_t>& cycle) {
  constexpr std::size_t shown = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(cycle.size(), shown); ++i) text += layers[cycle[i]].name + " -> ";
  if (cycle.size() > shown) text += "(" + std::to_string(cycle.size() - shown) + " more) -> ";
  fail(ErrorCode::bad_graph, "layers form a cycle: " + text + layers[cycle.front()].name, where(layers[cycle.front()]),
       "a layer must not need its own output");
}

/// Depth-first post-order that starts from the layers in file order: inputs come first, and a file that is in
/// topological order keeps its order. Iterative, because the depth is the file's choice.
std::vector<std::size_t> topological_order(const std::vector<LayerSpec>& layers,
                                           const std::vector<std::vector<std::size_t>>& inputs) {
  enum class State : char { unseen, open, done };
  struct Frame {
    std::size_t layer, next_input;
  };
  std::vector<State> state(layers.size(), State::unseen);
  std::vector<std::size_t> order;
  std::vector<Frame> stack;
  for (std::size_t root = 0; root < layers.size(); ++root) {
    if (state[root] != State::unseen) continue;
    state[root] = State::open;
    stack.push_back({root, 0});
    while (!stack.empty()) {
      Frame& top = stack.back();
      if (top.next_input == inputs[top.layer].size()) {
        state[top.layer] = State::done;
        order.push_back(top.layer);
        stack.pop_back();
        continue;
      }
      const std::size_t input = inputs[top.layer][top.next_input++];
      if (state[input] == State::unseen) {
        state[input] = State::open;
        stack.push_back({input, 0});
      } else if (state[input] == State::open) {
        // Each open layer from `input` up needs the one above it: data flows from `input` to the top and down again.
        std::vector<std::size_t> cycle;
        for (std::size_t i = stack.size(); i-- > 0;) {
          cycle.push_back(stack[i].layer);
          if (stack[i].layer == input) break;
        }
        std::rotate(cycle.begin(), cycle.end() - 1, cycle.end());
        fail_cycle(layers, cycle);
      }
    }
  }
  return order;
}

void check_all_tensors_used(const std::vector<LayerSpec>& layers, const TensorTable& tensors) {
  std::set<std::string_view> used;
  for (const LayerSpec& layer : layers) {
    for (const auto& [role, tensor] : layer.weights) used.insert(tensor);
  }
  for (const auto& [name, info] : tensors) {
    if (!used.contains(name)) {
      fail(ErrorCode::unused_tensor, "no layer names this tensor", "tensor '" + name + "'",
           "remove it from the file or name it in a layer");
    }
  }
}

}  // namespace

Graph build_graph(std::vector<LayerSpec> layers, const std::string& output, TensorTable tensors) {
  const Index index = index_names(layers);
  const LayerSpec* input = nullptr;
  for (const LayerSpec& layer : layers) {
    const OpDef* op = known_op(layer);
    if (layer.inputs.size() != static_cast<std::size_t>(op->inputs)) {
      fail(ErrorCode::bad_graph,
           "op '" + layer.op + "' takes " + std::to_string(op->inputs) + " input(s), not " +
               std::to_string(layer.inputs.size()),
           where(layer));
    }
    if (layer.op != "input") continue;
    if (input) fail(ErrorCode::bad_graph, "a second input besides '" + input->name + "'", where(layer));
    input = &layer;
  }
  if (!input) fail(ErrorCode::bad_graph, "no layer has the op 'input'", "layer list");
  const auto found_output = index.find(output);
  if (found_output == index.end()) {
    fail(ErrorCode::bad_graph, "the output '" + output + "' is no layer", "layer list");
  }
  const std::vector<std::vector<std::size_t>> inputs = resolve_inputs(layers, index);
  const std::vector<std::size_t> order = topological_order(layers, inputs);
  check_all_tensors_used(layers, tensors);

  // The input is the only layer without inputs, so it comes first in every topological order.
  Graph graph;
  graph.tensors = std::move(tensors);
  std::vector<NodeId> id_of(layers.size());
  for (const std::size_t i : order) {
    const LayerSpec& layer = layers[i];
    Node node;
    node.name = layer.name;
    node.op = find_op(layer.op);
    node.attrs = complete_attrs(*node.op, layer.attrs, layer.name);
    node.weights = resolve_weights(*node.op, layer, graph.tensors);
    for (const std::size_t in : inputs[i]) node.inputs.push_back(id_of[in]);
    node.layers = {layer.name};
    id_of[i] = graph.size();
    graph.nodes.push_back(std::move(node));
  }
  graph.output = id_of[found_output->second];
  const Dims dims = graph.input_dims();
  infer_shapes(graph, 1, dims.h, dims.w);
  return drop_unreachable(std::move(graph));
}

}  // namespace resnet
