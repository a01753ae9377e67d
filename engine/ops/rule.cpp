#include "ops/rule.hpp"

#include <cmath>

#include "base/check.hpp"
#include "base/checked.hpp"

namespace resnet::ops {

std::string layer_text(std::string_view layer) { return "layer '" + std::string(layer) + "'"; }

std::string shape_text(const TensorShape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text.append(i == 0 ? "" : ", ").append(std::to_string(shape[i]));
  return text + "]";
}

void bad_attribute(const OpShapes& shapes, std::string message, std::string next) {
  fail(ErrorCode::bad_attribute, std::move(message), layer_text(shapes.layer), std::move(next));
}
void bad_geometry(const OpShapes& shapes, std::string message, std::string next) {
  fail(ErrorCode::bad_geometry, std::move(message), layer_text(shapes.layer), std::move(next));
}
void tensor_shape(const OpShapes& shapes, std::string message, std::string next) {
  fail(ErrorCode::tensor_shape, std::move(message), layer_text(shapes.layer), std::move(next));
}

Dims checked_dims(const OpShapes& shapes, const Dims& dims) {
  std::int64_t bytes = sizeof(double);
  for (const std::int64_t extent : {dims.n, dims.h, dims.w, dims.c}) {
    if (extent < 1) bad_geometry(shapes, "size " + to_string(dims) + " is empty");
    if (__builtin_mul_overflow(bytes, extent, &bytes)) {
      fail(ErrorCode::overflow, "size " + to_string(dims) + " does not fit into 64 bits", layer_text(shapes.layer));
    }
  }
  for (const std::int64_t extent : {dims.n, dims.h, dims.w, dims.c}) {
    if (extent > max_extent) {
      fail(ErrorCode::limit_exceeded, "size " + to_string(dims) + " has an axis longer than 2^31 - 1",
           layer_text(shapes.layer));
    }
  }
  return dims;
}

namespace {

void check_range(const OpShapes& shapes, std::string_view name, std::int64_t value, std::int64_t minimum) {
  if (value >= minimum && value <= max_extent) return;
  bad_attribute(shapes, "attribute '" + std::string(name) + "' is " + std::to_string(value) + ", not in " +
                            std::to_string(minimum) + " .. 2^31 - 1");
}

const std::vector<std::int64_t>& list_attr(const OpShapes& shapes, std::string_view name, std::size_t length,
                                           std::int64_t minimum) {
  const std::vector<std::int64_t>& values = ints_attr(*shapes.attrs, name);
  if (values.size() != length) {
    bad_attribute(shapes, "attribute '" + std::string(name) + "' has " + std::to_string(values.size()) +
                              " values instead of " + std::to_string(length));
  }
  for (const std::int64_t value : values) check_range(shapes, name, value, minimum);
  return values;
}

}  // namespace

std::int64_t int_in_range(const OpShapes& shapes, std::string_view name, std::int64_t minimum) {
  const std::int64_t value = int_attr(*shapes.attrs, name);
  check_range(shapes, name, value, minimum);
  return value;
}

double finite_attr(const OpShapes& shapes, std::string_view name) {
  const double value = float_attr(*shapes.attrs, name);
  if (!std::isfinite(value)) bad_attribute(shapes, "attribute '" + std::string(name) + "' is not finite");
  return value;
}

Pair pair_attr(const OpShapes& shapes, std::string_view name, std::int64_t minimum) {
  const auto& values = list_attr(shapes, name, 2, minimum);
  return {values[0], values[1]};
}

Pads pads_attr(const OpShapes& shapes, std::string_view name) {
  const auto& values = list_attr(shapes, name, 4, 0);
  return {values[0], values[1], values[2], values[3]};
}

const TensorShape& weight_shape(const OpShapes& shapes, std::size_t index, std::string_view role, std::size_t rank) {
  const TensorShape* shape = shapes.weights[index];
  ensure(shape != nullptr, "a required weight reached the shape rule");
  if (shape->size() != rank) {
    tensor_shape(shapes, "weight '" + std::string(role) + "' has shape " + shape_text(*shape) + " instead of " +
                             std::to_string(rank) + " axes");
  }
  for (const std::int64_t extent : *shape) {
    if (extent < 1 || extent > max_extent) {
      tensor_shape(shapes, "weight '" + std::string(role) + "' of shape " + shape_text(*shape) +
                               " has an axis outside 1 .. 2^31 - 1");
    }
  }
  return *shape;
}

void expect_per_channel(const OpShapes& shapes, std::size_t index, std::string_view role, std::int64_t channels) {
  const TensorShape* shape = shapes.weights[index];
  if (shape == nullptr || (shape->size() == 1 && shape->front() == channels)) return;
  tensor_shape(shapes, "weight '" + std::string(role) + "' has shape " + shape_text(*shape) + " instead of [" +
                           std::to_string(channels) + "]");
}

Dims same_as_input(const OpShapes& shapes) { return checked_dims(shapes, shapes.inputs[0]); }

}  // namespace resnet::ops
