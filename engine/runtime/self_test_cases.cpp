#include "runtime/self_test_cases.hpp"

#include <cstdint>
#include <utility>

namespace resnet {
namespace {

using Ints = std::vector<std::int64_t>;

/// -span to span in an order without a short period: a value that lands in the wrong place shows.
std::vector<float> integers(std::size_t count, int span, std::uint32_t seed) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525 + 1013904223;
    value = static_cast<float>(static_cast<int>((seed >> 16) % static_cast<std::uint32_t>(2 * span + 1)) - span);
  }
  return values;
}

class Builder {
 public:
  /// @param span the input's values are -span to span
  Builder(std::string name, const Dims& input, int span = 1) {
    case_.name = std::move(name);
    case_.input = input;
    case_.values = integers(static_cast<std::size_t>(input.elements()), span, 1);
    add("x", "input", {}, {{"channels", input.c}, {"height", input.h}, {"width", input.w}});
  }

  Builder& add(const std::string& name, const std::string& op, std::vector<std::string> inputs, AttrMap attrs = {}) {
    layers_.push_back({name, op, std::move(inputs), std::move(attrs), {}});
    return *this;
  }

  /// A weight of the layer that was added last.
  Builder& weight(const std::string& role, TensorShape shape) {
    const std::string tensor = layers_.back().name + '.' + role;
    std::size_t count = 1;
    for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
    layers_.back().weights.emplace(role, tensor);
    case_.weights.emplace(tensor, integers(count, 1, 7));
    tensors_.emplace(tensor, TensorInfo{DType::f32, std::move(shape)});
    return *this;
  }

  Builder& conv(const std::string& name, const std::string& input, std::int64_t C, std::int64_t K, std::int64_t R,
                AttrMap attrs, std::int64_t groups = 1) {
    attrs.emplace("groups", groups);
    return add(name, "conv2d", {input}, std::move(attrs)).weight("weight", {K, R, R, C / groups});
  }

  SelfTestCase done() {
    const std::string output = layers_.back().name;
    case_.graph = build_graph(std::move(layers_), output, std::move(tensors_));
    return std::move(case_);
  }

 private:
  SelfTestCase case_;
  std::vector<LayerSpec> layers_;
  TensorTable tensors_;
};

AttrMap padded(std::int64_t pad, std::int64_t stride = 1) {
  return {{"padding", std::string("explicit")}, {"pads", Ints{pad, pad, pad, pad}}, {"stride", Ints{stride, stride}}};
}

/// A convolution with everything behind it: bias, residual, relu.
SelfTestCase whole(const std::string& name, const Dims& input, std::int64_t R, std::int64_t groups) {
  return Builder(name, input)
      .conv("c", "x", input.c, input.c, R, padded(R / 2), groups)
      .weight("bias", {input.c})
      .add("s", "add", {"c", "x"})
      .add("y", "relu", {"s"})
      .done();
}

std::vector<SelfTestCase> make_cases() {
  std::vector<SelfTestCase> cases;
  cases.push_back(whole("conv2d 3x3 of 8 channels, bias, residual, relu", {1, 5, 3, 8}, 3, 1));
  cases.push_back(whole("conv2d 1x1 of 64 channels, bias, residual, relu", {1, 3, 3, 64}, 1, 1));
  cases.push_back(whole("conv2d 3x3 in 4 groups of 4 channels, bias, residual, relu", {1, 4, 3, 16}, 3, 4));
  cases.push_back(whole("conv2d 3x3 depthwise, bias, residual, relu", {1, 4, 3, 8}, 3, 8));
  cases.push_back(Builder("conv2d 7x7 stride 2 of 3 channels, bias", {1, 9, 7, 3})
                      .conv("y", "x", 3, 8, 7, padded(3, 2))
                      .weight("bias", {8})
                      .done());
  cases.push_back(
      Builder("conv2d 3x3 stride 2 of 5 channels", {1, 5, 5, 5}).conv("y", "x", 5, 3, 3, padded(1, 2)).done());
  cases.push_back(Builder("dense, bias, relu", {2, 1, 1, 40})
                      .add("d", "dense", {"x"})
                      .weight("weight", {5, 40})
                      .weight("bias", {5})
                      .add("y", "relu", {"d"})
                      .done());
  const auto window = [](std::int64_t side, std::int64_t stride, std::int64_t pad) {
    AttrMap attrs = padded(pad, stride);
    attrs.emplace("kernel", Ints{side, side});
    return attrs;
  };
  cases.push_back(
      Builder("max_pool 3x3 stride 2", {1, 5, 4, 6}, 8).add("y", "max_pool", {"x"}, window(3, 2, 1)).done());
  cases.push_back(Builder("avg_pool 2x2", {1, 4, 4, 6}, 8).add("y", "avg_pool", {"x"}, window(2, 2, 0)).done());
  cases.push_back(Builder("global_avg_pool of 4x4", {1, 4, 4, 6}, 4).add("y", "global_avg_pool", {"x"}).done());
  cases.push_back(Builder("global_avg_pool of 4x4, dense, bias, relu", {2, 4, 4, 8}, 4)
                      .add("p", "global_avg_pool", {"x"})
                      .add("d", "dense", {"p"})
                      .weight("weight", {5, 8})
                      .weight("bias", {5})
                      .add("y", "relu", {"d"})
                      .done());
  cases.push_back(Builder("adaptive_avg_pool to 2x2", {1, 4, 4, 6}, 8)
                      .add("y", "adaptive_avg_pool", {"x"}, {{"output", Ints{2, 2}}})
                      .done());
  cases.push_back(Builder("pad", {1, 3, 2, 6}, 8)
                      .add("y", "pad", {"x"}, {{"pads", Ints{1, 2, 3, 0}}, {"mode", std::string("zero")}})
                      .done());
  cases.push_back(Builder("add, relu", {1, 3, 3, 5}, 8)
                      .add("a", "relu", {"x"})
                      .add("s", "add", {"x", "a"})
                      .add("y", "relu6", {"s"})
                      .done());
  cases.push_back(Builder("flatten in nchw order", {1, 2, 3, 6}, 8)
                      .add("y", "flatten", {"x"}, {{"order", std::string("nchw")}})
                      .done());
  // Of equal logits, a power of two of them: every probability is 1/16 exactly.
  cases.push_back(Builder("softmax of 16 equal values", {1, 1, 1, 16}).add("y", "softmax", {"x"}).done());
  cases.back().values.assign(cases.back().values.size(), 2);
  return cases;
}

}  // namespace

const std::vector<SelfTestCase>& self_test_cases() {
  static const std::vector<SelfTestCase> cases = make_cases();
  return cases;
}

}  // namespace resnet
