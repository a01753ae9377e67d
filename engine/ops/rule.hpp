#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ops/op.hpp"

/// What shape rules share: errors that name the layer, attributes with their range, weights with their rank.
namespace resnet::ops {

/// Largest extent of an axis, attribute or weight dimension. Sums and products of two of them fit into 64 bits, so only
/// whole volumes need checked arithmetic.
inline constexpr std::int64_t max_extent = (std::int64_t{1} << 31) - 1;

/// "layer 'conv1'", the place in every error of a shape rule.
std::string layer_text(std::string_view layer);
/// "[64, 7, 7, 3]"
std::string shape_text(const TensorShape& shape);

[[noreturn]] void bad_attribute(const OpShapes& shapes, std::string message, std::string next = {});
[[noreturn]] void bad_geometry(const OpShapes& shapes, std::string message, std::string next = {});
[[noreturn]] void tensor_shape(const OpShapes& shapes, std::string message, std::string next = {});

/// `dims` again, after checking that every axis is in [1, max_extent] and that the volume in bytes of double fits into
/// 64 bits. @throws Error bad_geometry, limit_exceeded, overflow
Dims checked_dims(const OpShapes& shapes, const Dims& dims);

/// An integer attribute in [minimum, max_extent]. @throws Error bad_attribute
std::int64_t int_in_range(const OpShapes& shapes, std::string_view name, std::int64_t minimum);
/// A finite number. @throws Error bad_attribute
double finite_attr(const OpShapes& shapes, std::string_view name);

/// A [height, width] attribute with both values in [minimum, max_extent]. @throws Error bad_attribute
struct Pair {
  std::int64_t h = 0, w = 0;
};
Pair pair_attr(const OpShapes& shapes, std::string_view name, std::int64_t minimum);

/// A [top, left, bottom, right] attribute with values in [0, max_extent]. @throws Error bad_attribute
struct Pads {
  std::int64_t top = 0, left = 0, bottom = 0, right = 0;
  bool none() const noexcept { return top == 0 && left == 0 && bottom == 0 && right == 0; }
};
Pads pads_attr(const OpShapes& shapes, std::string_view name);

/// The shape of weight `index`, of this rank and with extents in [1, max_extent]. @throws Error tensor_shape
const TensorShape& weight_shape(const OpShapes& shapes, std::size_t index, std::string_view role, std::size_t rank);
/// A weight that is absent or has exactly `channels` values. @throws Error tensor_shape
void expect_per_channel(const OpShapes& shapes, std::size_t index, std::string_view role, std::int64_t channels);

/// Output of ops that keep their input's size.
Dims same_as_input(const OpShapes& shapes);

}  // namespace resnet::ops
