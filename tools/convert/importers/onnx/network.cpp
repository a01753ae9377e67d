#include "convert/importers/onnx/network.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "base/dtype.hpp"
#include "convert/materialise.hpp"
#include "ops/rule.hpp"

namespace resnet::convert::onnx {
namespace {

constexpr std::int64_t max_integers = 1024;

AttributeKind kind_of(const Node& node, std::string_view name) { return node.attributes.find(name)->second.kind; }

}  // namespace

// ---- the current node -------------------------------------------------------------------------------------------

void Network::reject(const std::string& message, const std::string& next) const {
  fail(ErrorCode::import_failed, message, node_ == nullptr ? "the graph" : place_of(*node_),
       next.empty() ? other_export : next);
}

std::int64_t Network::integer(std::string_view name, std::int64_t fallback) const {
  if (!has(name)) return fallback;
  if (kind_of(*node_, name) != AttributeKind::integer) reject("attribute " + std::string(name) + " is no integer");
  return node_->attributes.find(name)->second.integer;
}

bool Network::flag(std::string_view name, bool fallback) const {
  const std::int64_t value = integer(name, fallback ? 1 : 0);
  if (value != 0 && value != 1)
    reject("attribute " + std::string(name) + " is " + std::to_string(value) + ", 0 or 1 is expected");
  return value == 1;
}

double Network::number(std::string_view name, double fallback) const {
  if (!has(name)) return fallback;
  if (kind_of(*node_, name) != AttributeKind::number) reject("attribute " + std::string(name) + " is no number");
  return node_->attributes.find(name)->second.number;
}

std::string Network::text(std::string_view name, std::string_view fallback) const {
  if (!has(name)) return std::string(fallback);
  if (kind_of(*node_, name) != AttributeKind::text) reject("attribute " + std::string(name) + " is no text");
  return node_->attributes.find(name)->second.text;
}

std::vector<std::int64_t> Network::integers(std::string_view name, std::vector<std::int64_t> fallback) const {
  if (!has(name)) return fallback;
  const Attribute& attribute = node_->attributes.find(name)->second;
  // An empty list carries no type in old files.
  if (attribute.kind != AttributeKind::integers) reject("attribute " + std::string(name) + " is no list of integers");
  return attribute.integers;
}

std::vector<std::int64_t> Network::pair(std::string_view name, std::int64_t fallback, std::int64_t minimum) const {
  auto values = integers(name, {fallback, fallback});
  const auto bad = [&](std::int64_t v) { return v < minimum || v > ops::max_extent; };
  if (values.size() != 2 || std::any_of(values.begin(), values.end(), bad)) {
    reject("attribute " + std::string(name) + " is " + list_text(values) + ", expected [h, w], each " +
           std::to_string(minimum) + " to " + std::to_string(ops::max_extent));
  }
  return values;
}

const Value& Network::value(std::size_t i) const {
  if (!given(i)) reject("input " + std::to_string(i) + " is missing", "the file is damaged: export it again");
  return values_.at(node_->inputs[i]);
}

const Value& Network::open_activation(std::size_t i) const {
  const Value& found = value(i);
  if (found.kind != ValueKind::activation) {
    reject("input " + std::to_string(i) + " (\"" + node_->inputs[i] +
           "\") is a constant, a value that depends on the picture is expected");
  }
  if (!found.repeats.empty()) reject("reads values that Expand repeats over height and width, only a product may");
  return found;
}

const Value& Network::activation(std::size_t i) const {
  const Value& found = open_activation(i);
  if (found.mean_h || found.mean_w) reject("reads a mean over the height or the width alone, which no layer computes");
  return found;
}

const Value& Network::image(std::size_t i) const {
  const Value& found = activation(i);
  if (!is_image(found)) {
    reject("its input has " + std::to_string(found.axes.size()) +
           " axes or another order of them, expected are images N x C x H x W");
  }
  return found;
}

const Tensor& Network::constant(std::size_t i) const {
  const Value& found = value(i);
  if (found.kind != ValueKind::constant) {
    reject("input " + std::to_string(i) + " (\"" + node_->inputs[i] + "\") is computed, a constant is expected");
  }
  return found.tensor;
}

std::vector<double> Network::numbers(const Tensor& tensor, std::int64_t limit) const {
  SourceTensor view = tensor.view;
  const std::int64_t count = element_count(view.shape, view.name);
  if (count > limit) {
    reject("the constant \"" + view.name + "\" has " + std::to_string(count) + " values, " + std::to_string(limit) +
           " at most are expected here");
  }
  std::vector<double> values;
  if (count == 0) return values;
  if (view.type == SourceType::other) reject("the constant \"" + view.name + "\" holds " + tensor.type);
  const auto bytes = model_.storages->read(view.storage);
  check_view(view, static_cast<std::int64_t>(bytes.size()) / size_of(view.type));
  const std::int64_t width = size_of(view.type);
  std::vector<std::int64_t> index(view.shape.size(), 0);
  const auto read = [&](auto sample, std::int64_t at) {
    std::memcpy(&sample, bytes.data() + at * width, sizeof sample);
    return sample;
  };
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t at = view.offset;
    for (std::size_t axis = 0; axis < index.size(); ++axis) at += index[axis] * view.strides[axis];
    switch (view.type) {
      case SourceType::f64:
        values.push_back(read(double{}, at));
        break;
      case SourceType::f32:
        values.push_back(static_cast<double>(read(float{}, at)));
        break;
      case SourceType::f16:
        values.push_back(static_cast<double>(f16_to_f32(read(std::uint16_t{}, at))));
        break;
      case SourceType::bf16:
        values.push_back(static_cast<double>(bf16_to_f32(read(std::uint16_t{}, at))));
        break;
      case SourceType::i64:
        values.push_back(static_cast<double>(read(std::int64_t{}, at)));
        break;
      case SourceType::i32:
        values.push_back(static_cast<double>(read(std::int32_t{}, at)));
        break;
      case SourceType::i16:
        values.push_back(static_cast<double>(read(std::int16_t{}, at)));
        break;
      case SourceType::i8:
        values.push_back(static_cast<double>(read(std::int8_t{}, at)));
        break;
      default:
        values.push_back(static_cast<double>(read(std::uint8_t{}, at)));
    }
    for (std::size_t axis = index.size(); axis-- > 0;) {
      if (++index[axis] < view.shape[axis]) break;
      index[axis] = 0;
    }
  }
  return values;
}

double Network::scalar(std::size_t i) const {
  const auto values = numbers(constant(i), 1);
  if (values.empty())
    reject("input " + std::to_string(i) + " (\"" + node_->inputs[i] + "\") is empty, a number is expected");
  return values.front();
}

Integers Network::shape(std::size_t i) const {
  const Value& found = value(i);
  if (found.kind == ValueKind::integers) return found.integers;
  const Tensor& tensor = constant(i);
  if (tensor.view.type != SourceType::i64 && tensor.view.type != SourceType::i32) {
    reject("input " + std::to_string(i) + " (\"" + node_->inputs[i] + "\") holds " + tensor.type +
           ", integers are expected");
  }
  Integers result;
  result.shape = tensor.view.shape;
  for (const double number : numbers(tensor, max_integers)) {
    // Beyond 2^53 a double is not exact; the one number in use there means "to the end".
    const double clamped = std::clamp(number, -9.0e15, 9.0e15);
    result.values.push_back({false, static_cast<std::int64_t>(clamped)});
  }
  return result;
}

std::vector<std::int64_t> Network::known(std::size_t i) const {
  std::vector<std::int64_t> result;
  for (const Symbol& symbol : shape(i).values) {
    if (symbol.batch) reject("input " + std::to_string(i) + " depends on the number of images");
    result.push_back(symbol.value);
  }
  return result;
}

int Network::uses(const std::string& name) const {
  const auto found = uses_.find(name);
  return found == uses_.end() ? 0 : found->second;
}

bool Network::is_shared(std::size_t i) const { return value(i).shared || uses(node_->inputs.at(i)) > 1; }

void Network::set(std::size_t output, Value value) {
  if (output >= node_->outputs.size()) reject("has no output " + std::to_string(output));
  values_[node_->outputs[output]] = std::move(value);
}

void Network::alias(std::size_t input, Value value) {
  value.shared = is_shared(input);
  set(std::move(value));
}

// ---- layers and weights -----------------------------------------------------------------------------------------

std::string Network::unique_layer(std::string name) {
  int& count = name_counts_[name];
  std::string unique = name;
  while (count > 0 && layer_index_.contains(unique)) unique = name + '_' + std::to_string(count++);
  if (count == 0) count = 1;
  // A name such as "a_1" may have been given by the file itself.
  while (layer_index_.contains(unique)) unique = name + '_' + std::to_string(count++);
  return unique;
}

void Network::add_weight(LayerSpec& layer, const char* role, const SourceTensor& view) {
  const auto same_view = [&](const SourceTensor& other) {
    return other.storage == view.storage && other.shape == view.shape && other.strides == view.strides &&
           other.offset == view.offset;
  };
  std::string key = view.name.empty() ? layer.name + '.' + role : view.name;
  for (int number = 0;; ++number) {
    const auto found = used_.find(key);
    if (found == used_.end()) break;
    if (found->second.op == layer.op && found->second.role == role && same_view(tensors_[found->second.tensor])) {
      layer.weights[role] = key;
      return;
    }
    key = layer.name + '.' + role + (number == 0 ? "" : '_' + std::to_string(number));
  }
  used_[key] = {layer.op, role, tensors_.size()};
  tensors_.push_back(view);
  tensors_.back().name = key;
  layer.weights[role] = key;
}

Value Network::add(const char* op, const std::vector<const Value*>& inputs, AttrMap attrs,
                   const std::vector<Weight>& weights, std::string_view suffix) {
  LayerSpec layer;
  layer.name = unique_layer(node_layer_ + std::string(suffix));
  layer.op = op;
  layer.attrs = std::move(attrs);
  const OpDef* def = find_op(op);
  ensure(def != nullptr && def->inputs == static_cast<int>(inputs.size()), "the importer knows the ops that it makes");

  Value result;
  std::vector<Dims> dims;
  for (const Value* input : inputs) {
    layer.inputs.push_back(input->layer);
    dims.push_back(input->dims);
  }
  std::vector<TensorShape> shapes(def->weights.size());
  std::vector<const TensorShape*> given(def->weights.size(), nullptr);
  for (const auto& [role, view] : weights) {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (def->weights[i].role != role) continue;
      const bool oihw = layer.op == "conv2d" && role == "weight";
      shapes[i] = stored_shape(view.shape, oihw ? WeightOrder::oihw_to_krsc : WeightOrder::keep);
      given[i] = &shapes[i];
    }
    add_weight(layer, role.c_str(), view);
  }
  const AttrMap complete = complete_attrs(*def, layer.attrs, layer.name);
  result.dims = def->infer({layer.name, &complete, dims, given});
  result.layer = layer.name;
  if (!inputs.empty()) result.axes = inputs.front()->axes;
  layer_index_[layer.name] = layers_.size();
  layers_.push_back(std::move(layer));
  return result;
}

LayerSpec* Network::layer_of(const Value& value) {
  const auto found = layer_index_.find(value.layer);
  return found == layer_index_.end() || found->second == 0 ? nullptr : &layers_[found->second];
}

void Network::attach(LayerSpec& layer, const char* role, const SourceTensor& view) { add_weight(layer, role, view); }

Value Network::add_affine(const Value& value, bool shared, const Affine& affine, std::string_view suffix) {
  const auto before = affines_.find(value.layer);
  if (before != affines_.end() && !shared) {
    for (std::size_t i = 0; i < affine.scale.size(); ++i) {
      before->second.scale[i] *= affine.scale[i];
      before->second.shift[i] = before->second.shift[i] * affine.scale[i] + affine.shift[i];
    }
    Value same = value;
    same.shared = false;
    return same;
  }
  LayerSpec layer;  // its weights follow when the walk is done
  layer.name = unique_layer(node_layer_ + std::string(suffix));
  layer.op = "batch_norm";
  layer.inputs = {value.layer};
  layer.attrs["eps"] = 0.0;
  affines_[layer.name] = affine;
  Value result = value;
  result.layer = layer.name;
  result.shared = false;
  layer_index_[layer.name] = layers_.size();
  layers_.push_back(std::move(layer));
  return result;
}

void Network::finish_affine(LayerSpec& layer, const Affine& affine) {
  const std::size_t channels = affine.scale.size();
  // At the input: mean and variance of a normalisation, which are no trained parameters.
  const bool statistics = layer.inputs.front() == layers_.front().name &&
                          std::all_of(affine.scale.begin(), affine.scale.end(), [](double s) { return s > 0; });
  const auto tensor = [&](const char* role, const auto& value_of) {
    std::vector<std::byte> bytes(channels * sizeof(float));
    for (std::size_t i = 0; i < channels; ++i) {
      const float value = static_cast<float>(value_of(i));
      std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
    }
    SourceTensor view;
    view.shape = {static_cast<std::int64_t>(channels)};
    view.strides = {1};
    view.storage = model_.storages->add(std::move(bytes));
    add_weight(layer, role, view);
  };
  if (statistics) {
    tensor("mean", [&](std::size_t i) { return -affine.shift[i] / affine.scale[i]; });
    tensor("var", [&](std::size_t i) { return 1 / (affine.scale[i] * affine.scale[i]); });
    return;
  }
  tensor("gamma", [&](std::size_t i) { return affine.scale[i]; });
  tensor("beta", [&](std::size_t i) { return affine.shift[i]; });
  tensor("mean", [](std::size_t) { return 0.0; });
  tensor("var", [](std::size_t) { return 1.0; });
}

std::string list_text(const std::vector<std::int64_t>& values) {
  constexpr std::size_t shown = 8;
  if (values.size() <= shown) return ops::shape_text(values);
  std::string text = ops::shape_text({values.begin(), values.begin() + shown});
  text.back() = ',';
  return text + " and " + std::to_string(values.size() - shown) + " more]";
}

std::int64_t axis_size(const Value& value, std::size_t axis) {
  switch (value.axes.at(axis)) {
    case Axis::c:
      return value.dims.c;
    case Axis::h:
      return value.dims.h;
    case Axis::w:
      return value.dims.w;
    case Axis::hw:
      return value.dims.h * value.dims.w;
    case Axis::n:
    case Axis::one:
      break;
  }
  return 1;
}

bool is_image(const Value& value) {
  const Axes& axes = value.axes;
  return axes.size() == 4 && axes[0] == Axis::n && axes[1] == Axis::c && (axes[2] == Axis::h || axes[2] == Axis::one) &&
         (axes[3] == Axis::w || axes[3] == Axis::one);
}

}  // namespace resnet::convert::onnx
