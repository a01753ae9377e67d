#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ops/op.hpp"

namespace resnet {

/// Index of a node in Graph::nodes and of the one value that it produces.
using NodeId = int;

/// A per-channel affine map read from the file, y = a[c] x + b[c]: a bias, or an inference-mode batch norm
/// y = gamma (x - mean) / sqrt(var + eps) + beta. Empty names stand for 1 (gamma) and 0 (beta).
struct AffineStage {
  enum class Kind : std::uint8_t { bias, batch_norm };
  Kind kind = Kind::bias;
  std::string layer;                   ///< source layer, for errors
  std::string bias;                    ///< bias
  std::string gamma, beta, mean, var;  ///< batch_norm
  double eps = 0;
  bool operator==(const AffineStage&) const = default;
};

/// What passes attach to a node: value = activation(affine(op(inputs)) + residual).
/// The stages apply in order. The residual, when present, is the node's last input.
struct NodeEpilogue {
  std::vector<AffineStage> affine;
  bool residual = false;
  Activation activation;
  bool empty() const { return affine.empty() && !residual && activation.kind == ActivationKind::none; }
};

struct Node {
  std::string name;  ///< the source layer's name, unique
  const OpDef* op = nullptr;
  AttrMap attrs;                     ///< complete
  std::vector<NodeId> inputs;        ///< op->inputs of them, plus the residual
  std::vector<std::string> weights;  ///< tensor names per op->weights, empty where absent
  NodeEpilogue epilogue;
  /// Source layers that this node computes, in order; the last one names its value.
  std::vector<std::string> layers;

  const std::string& value_name() const { return layers.empty() ? name : layers.back(); }
};

/// What the graph knows of a stored tensor.
struct TensorInfo {
  DType dtype = DType::f32;
  TensorShape shape;
};
using TensorTable = std::map<std::string, TensorInfo, std::less<>>;

/// A network: one input, one output, nodes in topological order. Node 0 is the input (op "input", attrs channels,
/// height, width). A plain value: passes take one and return another.
struct Graph {
  std::vector<Node> nodes;
  NodeId output = 0;
  TensorTable tensors;

  const Node& node(NodeId id) const { return nodes[static_cast<std::size_t>(id)]; }
  Node& node(NodeId id) { return nodes[static_cast<std::size_t>(id)]; }
  NodeId size() const { return static_cast<NodeId>(nodes.size()); }
  /// Default input size from node 0, with n = 1.
  Dims input_dims() const;
};

/// A layer as it stands in the file, before validation.
struct LayerSpec {
  std::string name, op;
  std::vector<std::string> inputs;
  AttrMap attrs;
  std::map<std::string, std::string, std::less<>> weights;  ///< role -> tensor name
};

/// Builds and validates a graph: unique names, known ops, attributes, arity, tensors present, of a float type and of
/// the right shape, no cycle (layers may stand in any order), exactly one input, all shapes at the default input size,
/// every tensor named by some layer. Layers that do not lead to the output are checked like all others and then
/// dropped; the rest keeps the file's order where that order is topological. O(V + E) up to the lookup of names.
/// @throws Error bad_graph, unknown_layer, bad_attribute, missing_tensor, unused_tensor, bad_dtype, tensor_shape,
///         bad_geometry, overflow, limit_exceeded; each names the layer
Graph build_graph(std::vector<LayerSpec> layers, const std::string& output, TensorTable tensors);

/// Size of every value for N images of H x W. @throws Error bad_geometry, overflow, limit_exceeded that name the layer
std::vector<Dims> infer_shapes(const Graph& graph, std::int64_t n, std::int64_t h, std::int64_t w);

/// The OpShapes of one node (its residual left out), for problems and MACs. Points into `graph` and `scratch`.
struct NodeShapes {
  std::vector<Dims> inputs;
  std::vector<const TensorShape*> weights;
  OpShapes view;
  NodeShapes(const Graph& graph, NodeId id, const std::vector<Dims>& shapes);
  NodeShapes(const NodeShapes&) = delete;
};

/// What a node's epilogue asks of a kernel. A batch-norm stage counts as scale and shift.
EpilogueProblem epilogue_problem(const Node& node);

/// Multiply-accumulates of one node. @throws Error overflow that names the layer
std::int64_t node_macs(const Graph& graph, NodeId id, const std::vector<Dims>& shapes);

/// Consumers of every value.
std::vector<std::vector<NodeId>> consumers(const Graph& graph);

/// One line per node: "conv1 conv2d(stride=[2,2]) <- input [1x112x112x64] + batch_norm + relu -> relu". Attributes that
/// have their default are left out; inputs stand under their values' names; "-> NAME" is the value's own name where it
/// is not the first one.
std::string dump(const Graph& graph, const std::vector<Dims>& shapes);

}  // namespace resnet
