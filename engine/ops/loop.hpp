#pragma once

#include <cstdint>

#include "ops/op.hpp"

/// What reference loops share.
namespace resnet::ops {

/// The shapes that a loop's operands have, for the problem and window helpers.
template <class Acc, class In>
OpShapes shapes_of(const ReferenceArgs<Acc, In>& args) {
  return {"reference loop", args.attrs, args.input_dims, args.weight_shapes};
}

/// Offset of channel 0 at (n, h, w) in an NHWC value.
inline std::int64_t at(const Dims& dims, std::int64_t n, std::int64_t h, std::int64_t w) {
  return ((n * dims.h + h) * dims.w + w) * dims.c;
}

/// A sum of products in eight interleaved partial sums: the same order on every machine, and one that the compiler can
/// vectorise without being allowed to reorder.
template <class Acc>
class DotProduct {
 public:
  template <class In>
  void add(const In* x, const float* w, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes) {
      for (int lane = 0; lane < lanes; ++lane) {
        sums_[lane] += static_cast<Acc>(x[i + lane]) * static_cast<Acc>(w[i + lane]);
      }
    }
    for (int lane = 0; i < count; ++i, ++lane) sums_[lane] += static_cast<Acc>(x[i]) * static_cast<Acc>(w[i]);
  }
  Acc total() const {
    Acc sum = 0;
    for (const Acc lane : sums_) sum += lane;
    return sum;
  }

 private:
  static constexpr int lanes = 8;
  Acc sums_[lanes] = {};
};

}  // namespace resnet::ops
