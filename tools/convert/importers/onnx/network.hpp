#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "convert/importers/importer.hpp"
#include "convert/importers/onnx/model.hpp"

namespace resnet::convert::onnx {

/// The way out where nothing better is known.
inline constexpr const char* other_export =
    "export the model in another way, or describe its layers in a recipe (docs/convert.md)";

/// What an axis of an ONNX value means. The engine's values are always N x H x W x C, whatever order ONNX holds them
/// in.
enum class Axis : std::uint8_t {
  n,
  c,
  h,
  w,
  hw,   ///< height and width as one axis
  one,  ///< an axis of size 1 that means nothing
};
using Axes = std::vector<Axis>;

/// An integer of a shape computation: a number, or the number of images.
struct Symbol {
  bool batch = false;
  std::int64_t value = 0;
  bool operator==(const Symbol&) const = default;
};
/// Row-major.
struct Integers {
  TensorShape shape;
  std::vector<Symbol> values;
};

enum class ValueKind : std::uint8_t {
  activation,  ///< depends on the picture: the output of a layer
  constant,    ///< a tensor of the file, or a view of one
  integers,    ///< a shape, or what was computed from one
};

/// What a name in the ONNX graph stands for.
struct Value {
  ValueKind kind = ValueKind::activation;
  // activation
  std::string layer;
  Dims dims;  ///< at the network's input size, n = 1
  Axes axes;
  bool mean_h = false, mean_w = false;  ///< averaged over one axis already; the layer follows with the other
  bool shared = false;                  ///< several nodes read it: its layer stays as it is
  std::vector<std::int64_t> repeats;    ///< per axis, how often Expand repeats it; empty where it does not
  // constant
  Tensor tensor;
  // integers
  Integers integers;
};

/// A weight of a layer that is added: the role, and a view in the source's order.
using Weight = std::pair<std::string, SourceTensor>;

/// y = scale x + shift per channel.
struct Affine {
  std::vector<double> scale, shift;
};

struct Operator;

/// Collects the engine's layers while the nodes of an ONNX graph are walked in order. Errors name the current node.
class Network {
 public:
  explicit Network(const Model& model) : model_(model) {}

  const Model& model() const { return model_; }
  std::int64_t opset() const { return model_.opset; }
  /// Number of images that the file fixes at its input, or -1.
  std::int64_t model_images() const { return images_; }
  const Node& node() const { return *node_; }

  /// @throws Error import_failed at the current node
  [[noreturn]] void reject(const std::string& message, const std::string& next = {}) const;

  // Attributes of the current node. @throws Error import_failed for another type
  bool has(std::string_view name) const { return node_->attributes.contains(name); }
  std::int64_t integer(std::string_view name, std::int64_t fallback) const;
  /// 0 or 1.
  bool flag(std::string_view name, bool fallback) const;
  double number(std::string_view name, double fallback) const;
  std::string text(std::string_view name, std::string_view fallback) const;
  std::vector<std::int64_t> integers(std::string_view name, std::vector<std::int64_t> fallback) const;
  /// An [h, w] attribute with two values in [minimum, 2^31).
  std::vector<std::int64_t> pair(std::string_view name, std::int64_t fallback, std::int64_t minimum) const;

  // Inputs of the current node.
  /// Whether input `i` is there; optional ones may be left out or empty.
  bool given(std::size_t i) const { return i < node_->inputs.size() && !node_->inputs[i].empty(); }
  const Value& value(std::size_t i) const;
  bool is_activation(std::size_t i) const { return given(i) && value(i).kind == ValueKind::activation; }
  /// One whose mean over height or width may still be half done.
  const Value& open_activation(std::size_t i) const;
  /// A finished value of a layer, or an error.
  const Value& activation(std::size_t i) const;
  /// The same with axes N, C, H, W.
  const Value& image(std::size_t i) const;
  const Tensor& constant(std::size_t i) const;
  /// Integers of a shape computation or of an integer constant.
  Integers shape(std::size_t i) const;
  /// Known integers, a vector or a single one.
  std::vector<std::int64_t> known(std::size_t i) const;
  /// Whether somebody else reads input `i` too.
  bool is_shared(std::size_t i) const;

  /// Values of a small constant. @throws Error import_failed for more than `limit`
  std::vector<double> numbers(const Tensor& tensor, std::int64_t limit) const;
  /// The one number that input `i` holds.
  double scalar(std::size_t i) const;

  /// Adds a layer for the current node, with the op's own size rule; axes are those of the first input.
  Value add(const char* op, const std::vector<const Value*>& inputs, AttrMap attrs = {},
            const std::vector<Weight>& weights = {}, std::string_view suffix = {});
  /// The layer that made a value, or null for the network's input.
  LayerSpec* layer_of(const Value& value);
  /// Gives a layer that is there one more weight.
  void attach(LayerSpec& layer, const char* role, const SourceTensor& view);
  /// A constant per-channel map behind `value`; joined with one that is there already and that nobody else reads.
  Value add_affine(const Value& value, bool shared, const Affine& affine, std::string_view suffix = {});

  /// Output 0 of the current node. Other outputs must not be read.
  void set(Value value) { set(0, std::move(value)); }
  void set(std::size_t output, Value value);
  /// The output is the input under another name.
  void alias(std::size_t input, Value value);

  /// Walks the graph. @throws Error
  Imported run();

 private:
  struct Producer {
    std::size_t node = 0, output = 0;
  };
  void index_values();
  std::vector<std::size_t> reachable_nodes();
  void check_operators(const std::vector<std::size_t>& order) const;
  void count_uses(const std::vector<std::size_t>& order);
  const ValueInfo& input_info() const;
  void add_input(const std::vector<std::size_t>& order);
  bool input_is_nhwc(const std::vector<std::size_t>& order) const;
  void check_definition(const Operator& definition) const;
  void step();
  void add_weight(LayerSpec& layer, const char* role, const SourceTensor& view);
  void finish_affine(LayerSpec& layer, const Affine& affine);
  std::string unique_layer(std::string name);
  int uses(const std::string& name) const;

  const Model& model_;
  const Node* node_ = nullptr;
  std::string node_layer_;  ///< name for the layers of the current node
  std::string input_, output_;
  std::int64_t images_ = -1;
  std::unordered_map<std::string, Producer> producers_;
  std::unordered_map<std::string, const Tensor*> initializers_;
  std::unordered_map<std::string, Value> values_;
  std::unordered_map<std::string, int> uses_;

  std::vector<LayerSpec> layers_;
  std::unordered_map<std::string, std::size_t> layer_index_;
  std::unordered_map<std::string, int> name_counts_;
  std::map<std::string, Affine, std::less<>> affines_;  ///< by layer, until the end

  struct Used {
    std::string op, role;
    std::size_t tensor = 0;
  };
  std::vector<SourceTensor> tensors_;
  std::unordered_map<std::string, Used> used_;
};

/// A readable name per node: "/layer1/layer1.0/conv1/Conv" of PyTorch becomes "layer1.0.conv1", and so does
/// "node_Conv_293" that reads "layer1.0.conv1.weight". Not unique.
std::vector<std::string> layer_names(const std::vector<Node>& nodes);

/// "node \"/conv1/Conv\" (Conv)"
std::string place_of(const Node& node);

/// "[1, 2, 3]", or the first eight of a longer list: the file chooses its length.
std::string list_text(const std::vector<std::int64_t>& values);

/// Size of an axis; that of the images is 1.
std::int64_t axis_size(const Value& value, std::size_t axis);

/// True when axes are N, C, H, W, where H and W may be axes of size 1 without meaning.
bool is_image(const Value& value);

}  // namespace resnet::convert::onnx
