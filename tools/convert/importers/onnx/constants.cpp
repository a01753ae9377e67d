// Values that do not depend on the picture: views of weights, and the integers that shapes are computed from.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/checked.hpp"
#include "convert/importers/onnx/operators.hpp"

namespace resnet::convert::onnx {
namespace {

using Ints = std::vector<std::int64_t>;
constexpr std::int64_t max_values = 1024;

Value integers(const Network& net, TensorShape shape, std::vector<Symbol> values) {
  if (shape.size() > 8) net.reject("computes a shape with more than 8 axes");
  Value value;
  value.kind = ValueKind::integers;
  value.integers = {std::move(shape), std::move(values)};
  return value;
}

/// Numbers that the importer makes a tensor of.
template <class T>
Value constant_of(const Network& net, const std::vector<T>& numbers, TensorShape shape, SourceType type) {
  std::vector<std::byte> bytes(numbers.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
  Value value;
  value.kind = ValueKind::constant;
  value.tensor.type = to_string(type);
  SourceTensor& view = value.tensor.view;
  view.type = type;
  view.strides = row_major_strides(shape, "constant");
  view.shape = std::move(shape);
  view.storage = net.model().storages->add(std::move(bytes));
  return value;
}

bool is_float(const Value& value) {
  return value.kind == ValueKind::constant && value.tensor.view.type != SourceType::i64 &&
         value.tensor.view.type != SourceType::i32;
}

std::size_t axis_of(const Network& net, std::int64_t axis, std::size_t rank) {
  const std::int64_t from_start = axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis;
  if (from_start < 0 || from_start >= static_cast<std::int64_t>(rank)) {
    net.reject("axis " + std::to_string(axis) + " of a constant with " + std::to_string(rank) + " axes");
  }
  return static_cast<std::size_t>(from_start);
}

Ints axes_of(const Network& net, Ints fallback) {
  return net.given(1) ? net.known(1) : net.integers("axes", std::move(fallback));
}

/// The shape that a Reshape of constants asks for.
TensorShape reshaped(const Network& net, const TensorShape& from, const Ints& to) {
  const std::int64_t total = element_count(from, "Reshape");
  TensorShape shape;
  std::int64_t known = 1;
  int open = -1;
  for (std::size_t i = 0; i < to.size(); ++i) {
    std::int64_t size = to[i];
    if (size == 0 && i < from.size() && !net.flag("allowzero", false)) size = from[i];
    if (size == -1 && open < 0) {
      open = static_cast<int>(i);
    } else if (size < 0) {
      net.reject("reshapes a constant to " + list_text(to));
    } else {
      known = checked_mul(known, size, "Reshape");
    }
    shape.push_back(size);
  }
  if (open >= 0 && known > 0 && total % known == 0) {
    shape[static_cast<std::size_t>(open)] = total / known;
    known = total;
  }
  if (known != total || (open >= 0 && shape[static_cast<std::size_t>(open)] < 0)) {
    net.reject("reshapes a constant of " + to_string(from) + " to " + list_text(to));
  }
  return shape;
}

std::vector<std::size_t> permutation(const Network& net, std::size_t rank) {
  Ints perm;
  for (std::size_t i = rank; i-- > 0;) perm.push_back(static_cast<std::int64_t>(i));
  perm = net.integers("perm", perm);
  std::vector<std::size_t> order;
  for (const std::int64_t axis : perm) order.push_back(axis_of(net, axis, rank));
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  if (order.size() != rank || std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    net.reject("perm is " + list_text(perm) + " for " + std::to_string(rank) + " axes");
  }
  return order;
}

/// A sub-grid of integers: result[i...] = values[start + sum of i * step].
Value picked(const Network& net, const std::vector<Symbol>& values, TensorShape shape, std::int64_t start,
             const Ints& step) {
  const std::int64_t count = element_count(shape, "shape");
  if (count > max_values) net.reject("computes a shape with more than " + std::to_string(max_values) + " numbers");
  std::vector<Symbol> result;
  Ints index(shape.size(), 0);
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t at = start;
    for (std::size_t axis = 0; axis < index.size(); ++axis) at += index[axis] * step[axis];
    result.push_back(values.at(static_cast<std::size_t>(at)));
    for (std::size_t axis = index.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  return integers(net, std::move(shape), std::move(result));
}

Value slice(const Network& net) {
  const Integers from = net.shape(0);
  const std::size_t rank = from.shape.size();
  const bool inputs = net.given(1);
  const Ints starts = inputs ? net.known(1) : net.integers("starts", {});
  const Ints ends = inputs ? net.known(2) : net.integers("ends", {});
  Ints axes(starts.size());
  std::iota(axes.begin(), axes.end(), 0);
  axes = net.given(3) ? net.known(3) : net.integers("axes", axes);
  const Ints steps = net.given(4) ? net.known(4) : Ints(starts.size(), 1);
  if (starts.size() != ends.size() || starts.size() != axes.size() || starts.size() != steps.size()) {
    net.reject("has starts, ends, axes and steps of different length");
  }
  TensorShape shape = from.shape;
  Ints step = row_major_strides(from.shape, "Slice");
  std::int64_t first = 0;
  std::vector<bool> seen(rank, false);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::size_t axis = axis_of(net, axes[i], rank);
    const std::int64_t size = from.shape[axis], stride = steps[i];
    if (seen[axis]) net.reject("has an axis twice");
    seen[axis] = true;
    if (stride == 0 || stride < -max_values || stride > max_values)
      net.reject("has a step of " + std::to_string(stride));
    if (size == 0) continue;
    const auto bound = [&](std::int64_t value, std::int64_t low, std::int64_t high) {
      return std::clamp(value < 0 ? value + size : value, low, high);
    };
    const std::int64_t begin = stride > 0 ? bound(starts[i], 0, size) : bound(starts[i], 0, size - 1);
    const std::int64_t end = stride > 0 ? bound(ends[i], 0, size) : bound(ends[i], -1, size - 1);
    const std::int64_t length = stride > 0 ? (end - begin + stride - 1) / stride : (end - begin + stride + 1) / stride;
    shape[axis] = std::max<std::int64_t>(length, 0);
    first += begin * step[axis];
    step[axis] *= stride;
  }
  return picked(net, from.values, std::move(shape), first, step);
}

Value gather(const Network& net) {
  const Integers from = net.shape(0), which = net.shape(1);
  if (from.shape.size() != 1 || axis_of(net, net.integer("axis", 0), 1) != 0) {
    net.reject("gathers from a table of constants");
  }
  std::vector<Symbol> values;
  for (const std::int64_t index : net.known(1))
    values.push_back(from.values.at(axis_of(net, index, from.values.size())));
  return integers(net, which.shape, std::move(values));
}

Value concat(const Network& net) {
  std::vector<Symbol> values;
  for (std::size_t i = 0; i < net.node().inputs.size(); ++i) {
    const Integers part = net.shape(i);
    if (part.shape.size() != 1) net.reject("joins constants that are no lists of integers");
    values.insert(values.end(), part.values.begin(), part.values.end());
    if (values.size() > max_values)
      net.reject("computes a shape with more than " + std::to_string(max_values) + " numbers");
  }
  const auto count = static_cast<std::int64_t>(values.size());
  return integers(net, {count}, std::move(values));
}

Value constant_of_shape(const Network& net) {
  const TensorShape shape = net.known(0);
  std::int64_t fill = 0;
  const auto given = net.node().attributes.find("value");
  if (given != net.node().attributes.end()) {
    const Tensor& tensor = given->second.tensor;
    if (given->second.kind != AttributeKind::tensor || tensor.view.type != SourceType::i64) {
      net.reject("makes a constant that is no list of integers");
    }
    for (const double number : net.numbers(tensor, 1))
      fill = static_cast<std::int64_t>(std::clamp(number, -9.0e15, 9.0e15));
  }
  const std::int64_t count = element_count(shape, "ConstantOfShape");
  if (count > max_values) net.reject("makes a constant of " + std::to_string(count) + " integers");
  return integers(net, shape, std::vector<Symbol>(static_cast<std::size_t>(count), Symbol{false, fill}));
}

/// Arithmetic of two lists, one of which may be a single number.
Value arithmetic(const Network& net, const std::string& op) {
  const Integers a = net.shape(0), b = net.shape(1);
  const bool wide_a = a.values.size() >= b.values.size();
  const std::size_t count = std::max(a.values.size(), b.values.size());
  if ((a.values.size() != count && a.values.size() != 1) || (b.values.size() != count && b.values.size() != 1)) {
    net.reject("computes with shapes of different length");
  }
  std::vector<Symbol> values;
  for (std::size_t i = 0; i < count; ++i) {
    const Symbol x = a.values[a.values.size() == 1 ? 0 : i], y = b.values[b.values.size() == 1 ? 0 : i];
    const Symbol one{false, 1}, zero{false, 0};
    if (x.batch || y.batch) {  // the number of images is passed on, never computed with
      const bool keeps_x = ((op == "Mul" || op == "Div") && y == one) || ((op == "Add" || op == "Sub") && y == zero);
      const bool keeps_y = (op == "Mul" && x == one) || (op == "Add" && x == zero);
      if (!keeps_x && !keeps_y) net.reject("computes with the number of images");
      values.push_back(keeps_x ? x : y);
      continue;
    }
    std::int64_t result = 0;
    if (op == "Add") result = checked_add(x.value, y.value, "shape");
    if (op == "Sub") result = checked_add(x.value, checked_mul(y.value, std::int64_t{-1}, "shape"), "shape");
    if (op == "Mul") result = checked_mul(x.value, y.value, "shape");
    if (op == "Div") {
      if (y.value == 0 || y.value == -1) net.reject("divides a shape by " + std::to_string(y.value));
      result = x.value / y.value;
    }
    values.push_back({false, result});
  }
  return integers(net, wide_a ? a.shape : b.shape, std::move(values));
}

/// A view of a weight, or the same for integers, with other axes.
Value with_shape(const Network& net, const Value& from, TensorShape shape) {
  if (from.kind == ValueKind::integers) return integers(net, std::move(shape), from.integers.values);
  Value result = from;
  SourceTensor& view = result.tensor.view;
  if (view.strides != row_major_strides(view.shape, view.name)) {
    net.reject("reshapes a transposed weight", "export the model with constant folding");
  }
  view.strides = row_major_strides(shape, view.name);
  view.shape = std::move(shape);
  return result;
}

Value reaxed(const Network& net, const std::string& op) {
  const Value& from = net.value(0);
  const TensorShape& shape = from.kind == ValueKind::integers ? from.integers.shape : from.tensor.view.shape;
  if (op == "Reshape") return with_shape(net, from, reshaped(net, shape, net.known(1)));
  if (op == "Flatten") {
    std::int64_t axis = net.integer("axis", 1);
    if (axis < 0) axis += static_cast<std::int64_t>(shape.size());
    if (axis < 0 || axis > static_cast<std::int64_t>(shape.size()))
      net.reject("flattens from axis " + std::to_string(axis));
    const auto middle = shape.begin() + axis;
    return with_shape(
        net, from,
        {element_count({shape.begin(), middle}, "Flatten"), element_count({middle, shape.end()}, "Flatten")});
  }
  TensorShape result;
  if (op == "Squeeze") {
    std::vector<bool> drop(shape.size(), false);
    const Ints axes = axes_of(net, {});
    for (const std::int64_t axis : axes) drop[axis_of(net, axis, shape.size())] = true;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (axes.empty() && shape[i] == 1) drop[i] = true;
      if (!drop[i]) result.push_back(shape[i]);
    }
  } else {  // Unsqueeze
    const Ints axes = axes_of(net, {});
    if (shape.size() + axes.size() > 8) net.reject("makes a constant with more than 8 axes");
    std::vector<bool> added(shape.size() + axes.size(), false);
    for (const std::int64_t axis : axes) added[axis_of(net, axis, added.size())] = true;
    std::size_t from_axis = 0;
    for (const bool is_new : added) {
      if (!is_new && from_axis == shape.size()) net.reject("adds an axis twice");
      result.push_back(is_new ? 1 : shape[from_axis++]);
    }
    if (from_axis != shape.size()) net.reject("adds an axis twice");
  }
  if (element_count(result, op) != element_count(shape, op)) net.reject("drops an axis that is not 1");
  return with_shape(net, from, std::move(result));
}

Value transpose(const Network& net) {
  const Value& from = net.value(0);
  if (from.kind == ValueKind::integers) {
    const auto order = permutation(net, from.integers.shape.size());
    const Ints strides = row_major_strides(from.integers.shape, "Transpose");
    TensorShape shape;
    Ints step;
    for (const std::size_t axis : order) {
      shape.push_back(from.integers.shape[axis]);
      step.push_back(strides[axis]);
    }
    return picked(net, from.integers.values, std::move(shape), 0, step);
  }
  Value result = from;
  const auto order = permutation(net, from.tensor.view.shape.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    result.tensor.view.shape[i] = from.tensor.view.shape[order[i]];
    result.tensor.view.strides[i] = from.tensor.view.strides[order[i]];
  }
  return result;
}

Value cast(const Network& net) {
  const Value& from = net.value(0);
  const std::int64_t to = net.integer("to", 0);
  const bool integer = to == 6 || to == 7;  // INT32, INT64
  if (integer && is_float(from)) {
    std::vector<Symbol> values;
    for (const double number : net.numbers(from.tensor, max_values)) {
      if (!(std::abs(number) < 9.0e15)) net.reject("makes an integer of " + std::to_string(number));
      values.push_back({false, static_cast<std::int64_t>(number)});
    }
    return integers(net, from.tensor.view.shape, std::move(values));
  }
  if (!integer && from.kind == ValueKind::integers) {
    std::vector<double> numbers;
    for (const std::int64_t number : net.known(0)) numbers.push_back(static_cast<double>(number));
    return constant_of(net, numbers, from.integers.shape, SourceType::f64);
  }
  return from;  // of a weight: the session chooses the precision
}

}  // namespace

void fold(Network& net) {
  const std::string& op = net.node().op;
  for (std::size_t i = 0; i < net.node().inputs.size(); ++i) {
    if (net.is_activation(i)) {  // Concat, Gather and Slice of feature maps
      net.reject("works on values of the network, which no layer stands for");
    }
  }
  const Value& first = net.value(0);
  Value result;
  if (op == "Identity" || op == "Dropout") {
    result = first;
  } else if (op == "Cast") {
    result = cast(net);
  } else if (op == "Transpose") {
    result = transpose(net);
  } else if (op == "Reshape" || op == "Squeeze" || op == "Unsqueeze" || op == "Flatten") {
    result = reaxed(net, op);
  } else if (op == "Shape") {
    const TensorShape& shape = first.kind == ValueKind::integers ? first.integers.shape : first.tensor.view.shape;
    std::vector<Symbol> sizes;
    for (const std::int64_t size : shape) sizes.push_back({false, size});
    result = integers(net, {static_cast<std::int64_t>(sizes.size())}, sizes);
  } else if (is_float(first)) {
    net.reject("computes a weight from other weights", "export the model with constant folding");
  } else if (op == "Gather") {
    result = gather(net);
  } else if (op == "Concat") {
    result = concat(net);
  } else if (op == "Slice") {
    result = slice(net);
  } else if (op == "ConstantOfShape") {
    result = constant_of_shape(net);
  } else if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div") {
    result = arithmetic(net, op);
  } else {
    net.reject("works on constants only", "export the model with constant folding");
  }
  if (result.kind == ValueKind::constant && (op == "Identity" || op == "Dropout")) {
    result.tensor.view.name = net.node().outputs[0];  // PyTorch's exporter keeps one copy of equal weights
  }
  net.set(std::move(result));
}

void convert_constant(Network& net) {
  const auto& attributes = net.node().attributes;
  if (attributes.size() != 1) net.reject("has " + std::to_string(attributes.size()) + " values, one is expected");
  const auto& [name, attribute] = *attributes.begin();
  Value value;
  value.kind = ValueKind::constant;
  switch (attribute.kind) {
    case AttributeKind::tensor:
      value.tensor = attribute.tensor;
      break;
    case AttributeKind::number:
      value = constant_of(net, std::vector<double>{attribute.number}, {}, SourceType::f64);
      break;
    case AttributeKind::integer:
      value = constant_of(net, Ints{attribute.integer}, {}, SourceType::i64);
      break;
    case AttributeKind::numbers:
      value =
          constant_of(net, attribute.numbers, {static_cast<std::int64_t>(attribute.numbers.size())}, SourceType::f64);
      break;
    case AttributeKind::integers:
      value =
          constant_of(net, attribute.integers, {static_cast<std::int64_t>(attribute.integers.size())}, SourceType::i64);
      break;
    default:
      net.reject("holds " + name + " (" + attribute.type + "), which is not read");
  }
  value.tensor.view.name = net.node().outputs[0];
  net.set(std::move(value));
}

void convert_shape(Network& net) {
  const Value& x = net.activation(0);
  std::vector<Symbol> sizes;
  for (const Axis axis : x.axes) {
    switch (axis) {
      case Axis::n:
        sizes.push_back({true, 0});
        break;
      case Axis::c:
        sizes.push_back({false, x.dims.c});
        break;
      case Axis::h:
        sizes.push_back({false, x.dims.h});
        break;
      case Axis::w:
        sizes.push_back({false, x.dims.w});
        break;
      case Axis::hw:
        sizes.push_back({false, x.dims.h * x.dims.w});
        break;
      case Axis::one:
        sizes.push_back({false, 1});
        break;
    }
  }
  // Since version 15 a part of the shape can be asked for.
  const auto rank = static_cast<std::int64_t>(sizes.size());
  const auto bound = [&](std::int64_t value) {
    return std::clamp<std::int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  const std::int64_t start = bound(net.integer("start", 0)), end = bound(net.integer("end", rank));
  const std::vector<Symbol> part(sizes.begin() + start, sizes.begin() + std::max(start, end));
  net.set(integers(net, {static_cast<std::int64_t>(part.size())}, part));
}

}  // namespace resnet::convert::onnx
