#include "conformance/op_cases.hpp"

#include <random>
#include <utility>

namespace resnet::test {
namespace {

using Ints = std::vector<std::int64_t>;

/// Grows a network layer by layer; weights are drawn as they are named.
class CaseBuilder {
 public:
  CaseBuilder(std::string name, std::string_view op, const Dims& input) : case_{std::move(name), op, {}} {
    case_.network.input = input;
    add("x", "input", {}, {{"channels", input.c}, {"height", input.h}, {"width", input.w}});
  }

  CaseBuilder& add(const std::string& name, const std::string& op, std::vector<std::string> inputs,
                   AttrMap attrs = {}) {
    case_.network.layers.push_back({name, op, std::move(inputs), std::move(attrs), {}});
    case_.network.output = name;
    return *this;
  }

  /// A weight of the layer that was added last, values in [low, high].
  CaseBuilder& weight(const std::string& role, TensorShape shape, float low = -1, float high = 1) {
    LayerSpec& layer = case_.network.layers.back();
    const std::string tensor = layer.name + '.' + role;
    std::size_t elements = 1;
    for (const std::int64_t extent : shape) elements *= static_cast<std::size_t>(extent);
    std::uniform_real_distribution<float> value(low, high);
    std::vector<float> values(elements);
    for (float& v : values) v = value(random_);
    layer.weights.emplace(role, tensor);
    case_.network.tensors.emplace(tensor, TensorInfo{DType::f32, std::move(shape)});
    case_.network.weights.emplace(tensor, std::move(values));
    return *this;
  }

  CaseBuilder& batch_norm(const std::string& name, const std::string& input, std::int64_t C, bool gamma_beta = true) {
    add(name, "batch_norm", {input}, {{"eps", 1e-3}});
    if (gamma_beta) weight("gamma", {C}, 0.5f, 2).weight("beta", {C});
    return weight("mean", {C}).weight("var", {C}, 0.25f, 2);
  }

  CaseBuilder& conv(const std::string& name, const std::string& input, std::int64_t C, std::int64_t K, std::int64_t R,
                    std::int64_t S, AttrMap attrs) {
    const auto groups = attrs.find("groups");
    const std::int64_t per_group = C / (groups == attrs.end() ? 1 : std::get<std::int64_t>(groups->second));
    return add(name, "conv2d", {input}, std::move(attrs)).weight("weight", {K, R, S, per_group});
  }

  OpCase done() { return std::move(case_); }

 private:
  OpCase case_;
  std::mt19937 random_{5};
};

constexpr Dims odd{1, 7, 5, 6};

struct ActivationCase {
  std::string op;
  AttrMap attrs;
};
const std::vector<ActivationCase>& activations() {
  static const std::vector<ActivationCase> list{{"relu", {}},
                                                {"relu6", {}},
                                                {"leaky_relu", {{"alpha", 0.1}}},
                                                {"sigmoid", {}},
                                                {"hard_sigmoid", {{"alpha", 0.3}, {"beta", 0.4}}},
                                                {"silu", {}}};
  return list;
}

void convolutions(std::vector<OpCase>& cases) {
  struct Shape {
    std::string name;
    Dims input;
    std::int64_t K, R, S;
    AttrMap attrs;
  };
  const std::vector<Shape> shapes{
      {"1x1", odd, 9, 1, 1, {}},
      {"1x1 stride 2", odd, 8, 1, 1, {{"stride", Ints{2, 2}}}},
      {"3x3 same", odd, 5, 3, 3, {{"padding", std::string("same")}}},
      {"3x3 stride 2 same_lower on an even size",
       {1, 8, 6, 4},
       4,
       3,
       3,
       {{"padding", std::string("same_lower")}, {"stride", Ints{2, 2}}}},
      {"7x7 stride 2 of three channels",
       {1, 14, 13, 3},
       16,
       7,
       7,
       {{"padding", std::string("explicit")}, {"pads", Ints{3, 3, 3, 3}}, {"stride", Ints{2, 2}}}},
      {"3x2 with four different pads",
       odd,
       4,
       3,
       2,
       {{"padding", std::string("explicit")}, {"pads", Ints{0, 1, 2, 3}}}},
      {"3x3 dilated", {1, 9, 9, 4}, 4, 3, 3, {{"dilation", Ints{2, 3}}}},
      {"3x3 in groups", {1, 6, 6, 8}, 16, 3, 3, {{"groups", std::int64_t{4}}, {"padding", std::string("same")}}},
      {"3x3 depthwise", odd, 6, 3, 3, {{"groups", std::int64_t{6}}}},
  };
  for (const Shape& s : shapes) {
    cases.push_back(
        CaseBuilder("conv2d, " + s.name, "conv2d", s.input).conv("y", "x", s.input.c, s.K, s.R, s.S, s.attrs).done());
  }
  const AttrMap same{{"padding", std::string("same")}};
  cases.push_back(
      CaseBuilder("conv2d, bias", "conv2d", odd).conv("y", "x", 6, 5, 3, 3, same).weight("bias", {5}).done());
  for (const auto& [op, attrs] : activations()) {
    cases.push_back(CaseBuilder("conv2d + batch_norm + " + op, "conv2d", odd)
                        .conv("c", "x", 6, 7, 3, 3, same)
                        .weight("bias", {7})
                        .batch_norm("b", "c", 7)
                        .add("y", op, {"b"}, attrs)
                        .done());
    cases.push_back(CaseBuilder("conv2d + batch_norm + residual + " + op, "conv2d", odd)
                        .conv("r", "x", 6, 7, 1, 1, {})
                        .conv("c", "x", 6, 7, 3, 3, same)
                        .batch_norm("b", "c", 7)
                        .add("s", "add", {"b", "r"})
                        .add("y", op, {"s"}, attrs)
                        .done());
  }
  cases.push_back(CaseBuilder("conv2d + its own input", "conv2d", odd)
                      .conv("c", "x", 6, 6, 3, 3, same)
                      .add("y", "add", {"c", "x"})
                      .done());
  cases.push_back(CaseBuilder("conv2d + residual that is read later", "conv2d", odd)
                      .conv("r", "x", 6, 6, 1, 1, {})
                      .conv("c", "r", 6, 6, 3, 3, same)
                      .add("s", "add", {"c", "r"})
                      .add("a", "relu", {"s"})
                      .add("y", "add", {"a", "r"})
                      .done());
}

void dense_layers(std::vector<OpCase>& cases) {
  const Dims row{1, 1, 1, 24};
  cases.push_back(CaseBuilder("dense", "dense", row).add("y", "dense", {"x"}).weight("weight", {5, 24}).done());
  cases.push_back(CaseBuilder("dense + bias + relu", "dense", row)
                      .add("d", "dense", {"x"})
                      .weight("weight", {5, 24})
                      .weight("bias", {5})
                      .add("y", "relu", {"d"})
                      .done());
  cases.push_back(
      CaseBuilder("dense in nchw order", "dense", {1, 2, 3, 4})
          .add("f", "flatten", {"x"})
          .add("y", "dense", {"f"}, {{"input_order", std::string("nchw")}, {"input_channels", std::int64_t{4}}})
          .weight("weight", {7, 24})
          .done());
}

void windows(std::vector<OpCase>& cases) {
  const Dims in{1, 8, 7, 6};
  const auto attrs = [](Ints kernel, Ints stride, Ints pads, bool ceil_mode) {
    return AttrMap{{"kernel", std::move(kernel)},
                   {"stride", std::move(stride)},
                   {"padding", std::string("explicit")},
                   {"pads", std::move(pads)},
                   {"ceil_mode", ceil_mode}};
  };
  const std::vector<std::pair<std::string, AttrMap>> shapes{
      {"2x2 stride 2", attrs({2, 2}, {2, 2}, {0, 0, 0, 0}, false)},
      {"3x3 stride 2 padded", attrs({3, 3}, {2, 2}, {1, 1, 1, 1}, false)},
      {"3x3 stride 2 padded, ceil_mode", attrs({3, 3}, {2, 2}, {1, 1, 1, 1}, true)},
      {"2x3 stride 3x2, ceil_mode", attrs({2, 3}, {3, 2}, {0, 1, 1, 0}, true)},
      {"3x3 same", {{"kernel", Ints{3, 3}}, {"stride", Ints{2, 2}}, {"padding", std::string("same")}}},
  };
  for (const auto& [name, shape] : shapes) {
    cases.push_back(CaseBuilder("max_pool, " + name, "max_pool", in).add("y", "max_pool", {"x"}, shape).done());
    for (const bool count_include_pad : {false, true}) {
      AttrMap average = shape;
      average.emplace("count_include_pad", count_include_pad);
      cases.push_back(CaseBuilder("avg_pool, " + name + (count_include_pad ? ", pads counted" : ""), "avg_pool", in)
                          .add("y", "avg_pool", {"x"}, average)
                          .done());
    }
  }
  cases.push_back(CaseBuilder("global_avg_pool", "global_avg_pool", odd).add("y", "global_avg_pool", {"x"}).done());
  for (const Ints& size : {Ints{1, 1}, Ints{3, 2}, Ints{9, 10}}) {
    cases.push_back(CaseBuilder("adaptive_avg_pool to " + std::to_string(size[0]) + 'x' + std::to_string(size[1]),
                                "adaptive_avg_pool", odd)
                        .add("y", "adaptive_avg_pool", {"x"}, {{"output", size}})
                        .done());
  }
}

void elementwise(std::vector<OpCase>& cases) {
  for (const auto& [op, attrs] : activations()) {
    const std::string_view entry = find_op(op)->name;
    cases.push_back(CaseBuilder(op, entry, odd).add("y", op, {"x"}, attrs).done());
  }
  cases.push_back(CaseBuilder("batch_norm", "batch_norm", odd).batch_norm("y", "x", 6).done());
  cases.push_back(
      CaseBuilder("batch_norm without gamma and beta", "batch_norm", odd).batch_norm("y", "x", 6, false).done());
  cases.push_back(
      CaseBuilder("batch_norm + relu", "batch_norm", odd).batch_norm("b", "x", 6).add("y", "relu", {"b"}).done());
  for (const std::string op : {"add", "mul"}) {
    const std::string_view entry = find_op(op)->name;
    cases.push_back(CaseBuilder(op, entry, odd).add("a", "sigmoid", {"x"}).add("y", op, {"x", "a"}).done());
    cases.push_back(CaseBuilder(op + " of a value with itself", entry, odd).add("y", op, {"x", "x"}).done());
    cases.push_back(CaseBuilder(op + " + relu", entry, odd)
                        .add("a", "sigmoid", {"x"})
                        .add("m", op, {"x", "a"})
                        .add("y", "relu", {"m"})
                        .done());
  }
  cases.push_back(CaseBuilder("mul by a channel scale", "mul", odd)
                      .add("g", "global_avg_pool", {"x"})
                      .add("s", "sigmoid", {"g"})
                      .add("y", "mul", {"x", "s"})
                      .done());
  for (const std::int64_t k : {1, 3, 7}) {
    cases.push_back(CaseBuilder("channel_conv1d of " + std::to_string(k), "channel_conv1d", odd)
                        .add("g", "global_avg_pool", {"x"})
                        .add("y", "channel_conv1d", {"g"})
                        .weight("weight", {k})
                        .done());
  }
  cases.push_back(CaseBuilder("softmax", "softmax", {1, 1, 1, 10}).add("y", "softmax", {"x"}).done());
  cases.push_back(CaseBuilder("softmax over channels of an image", "softmax", odd).add("y", "softmax", {"x"}).done());
}

void moves(std::vector<OpCase>& cases) {
  for (const std::string mode : {"zero", "reflect"}) {
    cases.push_back(CaseBuilder("pad, " + mode, "pad", odd)
                        .add("y", "pad", {"x"}, {{"pads", Ints{1, 2, 3, 0}}, {"mode", mode}})
                        .done());
  }
  for (const std::string order : {"nhwc", "nchw"}) {
    cases.push_back(
        CaseBuilder("flatten, " + order, "flatten", odd).add("y", "flatten", {"x"}, {{"order", order}}).done());
    cases.push_back(CaseBuilder("flatten of an inner value, " + order, "flatten", odd)
                        .add("a", "relu", {"x"})
                        .add("f", "flatten", {"a"}, {{"order", order}})
                        .add("y", "relu6", {"f"})
                        .done());
  }
  cases.push_back(CaseBuilder("identity", "identity", odd).add("i", "identity", {"x"}).add("y", "relu", {"i"}).done());
}

}  // namespace

std::vector<OpCase> op_cases() {
  std::vector<OpCase> cases;
  convolutions(cases);
  dense_layers(cases);
  windows(cases);
  elementwise(cases);
  moves(cases);
  return cases;
}

}  // namespace resnet::test
