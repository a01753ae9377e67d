#include "support/random_graph.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

namespace resnet::test {

namespace {

using Ints = std::vector<std::int64_t>;
using Text = std::string;

/// A value while the network grows: its size, and a bound on its bits: |value| < 2^magnitude, multiple of 2^-fraction.
struct Value {
  std::string name;
  Dims dims;
  int magnitude = 3, fraction = 0;
};

int bits(std::int64_t count) { return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(count))); }

class Builder {
 public:
  Builder(std::uint64_t seed, const RandomNetworkOptions& options) : random_(seed), options_(options) {}
  RandomNetwork build();

 private:
  static constexpr int budget = 50;  // of a double's 53 bits

  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(int percent) { return pick(1, 100) <= percent; }
  template <class T>
  T one_of(std::initializer_list<T> list) {
    return *(list.begin() + pick(0, static_cast<std::int64_t>(list.size()) - 1));
  }

  std::string weight(const std::string& name, Ints shape, std::int64_t low, std::int64_t high);
  Value layer(const std::string& op, const std::vector<Value>& inputs, AttrMap attrs, Dims dims,
              std::map<std::string, std::string, std::less<>> weights = {});

  bool fits(int magnitude, int fraction) const { return !options_.exact || magnitude + fraction <= budget; }
  Value conv(const Value& x, std::int64_t K, std::int64_t kernel, std::int64_t stride, AttrMap extra = {});
  Value norm(const Value& x);
  Value activation(const Value& x);
  Value maybe_activation(const Value& x, int percent) { return chance(percent) ? activation(x) : x; }
  Value conv_norm(const Value& x, std::int64_t K, std::int64_t kernel, std::int64_t stride, AttrMap extra = {}) {
    const Value y = conv(x, K, kernel, stride, std::move(extra));
    return chance(80) ? norm(y) : y;
  }
  Value add(const Value& a, const Value& b);
  Value pad(const Value& x);
  Value identity(const Value& x) { return keep_bits(layer("identity", {x}, {}, x.dims), x); }
  static Value keep_bits(Value y, const Value& x) {
    y.magnitude = x.magnitude, y.fraction = x.fraction;
    return y;
  }

  Value residual_block(const Value& x);
  Value preactivation_block(const Value& x);
  Value squeeze_block(const Value& x);
  Value grouped_block(const Value& before);
  Value padded_block(const Value& x);
  Value shared_block(const Value& x);
  Value pool_block(const Value& x);
  Value head(Value x);

  /// Room for another block of at most `convs` convolutions?
  bool room(const Value& x, int convs) const { return fits(x.magnitude, x.fraction + 9 * convs + 6); }

  std::mt19937_64 random_;
  RandomNetworkOptions options_;
  RandomNetwork network_;
  int counter_ = 0;
};

std::string Builder::weight(const std::string& name, Ints shape, std::int64_t low, std::int64_t high) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) {
    const double value = options_.exact ? static_cast<double>(pick(low, high))
                                        : static_cast<double>(low) + static_cast<double>(high - low) *
                                                                         static_cast<double>(pick(0, 1000)) / 1000;
    values.push_back(static_cast<float>(value));
  }
  network_.tensors[name] = {DType::f32, std::move(shape)};
  network_.weights[name] = std::move(values);
  return name;
}

Value Builder::layer(const std::string& op, const std::vector<Value>& inputs, AttrMap attrs, Dims dims,
                     std::map<std::string, std::string, std::less<>> weights) {
  LayerSpec spec{op + std::to_string(counter_++), op, {}, std::move(attrs), {}};
  for (const Value& input : inputs) spec.inputs.push_back(input.name);
  for (auto& [role, tensor] : weights) spec.weights[role] = std::move(tensor);
  network_.layers.push_back(spec);
  return {spec.name, dims, 0, 0};
}

/// Padding is the policy in `extra`, or one at random that keeps at least one output position.
Value Builder::conv(const Value& x, std::int64_t K, std::int64_t kernel, std::int64_t stride, AttrMap extra) {
  const std::int64_t groups = extra.contains("groups") ? int_attr(extra, "groups") : 1;
  const std::string name = "w" + std::to_string(counter_);
  std::map<std::string, std::string, std::less<>> weights{
      {"weight", weight(name, {K, kernel, kernel, x.dims.c / groups}, -1, 1)}};
  const bool bias = chance(30);
  if (bias) weights["bias"] = weight(name + ".bias", {K}, -3, 3);
  AttrMap attrs = std::move(extra);
  attrs["stride"] = Ints{stride, stride};
  if (!attrs.contains("padding")) {
    const std::string policy = one_of<Text>({"explicit", "same", "same_lower"});
    attrs["padding"] = policy;
    if (policy == "explicit") {
      const std::int64_t half = (kernel - 1) / 2;
      attrs["pads"] = chance(30) ? Ints{half + 1, half, half, half + pick(0, 1)} : Ints{half, half, half, half};
    }
  }
  // The op's own rule knows the output size.
  const AttrMap complete = complete_attrs(*find_op("conv2d"), attrs, name);
  const TensorShape* shapes[] = {&network_.tensors[name].shape, nullptr};
  const Dims dims = find_op("conv2d")->infer({name, &complete, std::span(&x.dims, 1), shapes});
  Value y = layer("conv2d", {x}, attrs, dims, std::move(weights));
  y.magnitude = std::max(x.magnitude + bits(kernel * kernel * x.dims.c / groups), 2) + (bias ? 1 : 0);
  y.fraction = x.fraction;
  return y;
}

Value Builder::norm(const Value& x) {
  const std::string name = "bn" + std::to_string(counter_);
  const std::int64_t C = x.dims.c;
  std::map<std::string, std::string, std::less<>> weights{{"mean", weight(name + ".mean", {C}, -3, 3)},
                                                          {"var", weight(name + ".var", {C}, 1, 2)}};
  const bool gamma = chance(80), beta = chance(80);
  if (gamma) weights["gamma"] = weight(name + ".gamma", {C}, -1, 1);
  if (beta) weights["beta"] = weight(name + ".beta", {C}, -3, 3);
  // sqrt(var + 1/2) = 1, 2 or 4: the scale shrinks what the convolution has grown.
  int shift = 0;
  if (options_.exact) {
    for (float& var : network_.weights[name + ".var"]) {
      const int s = static_cast<int>(pick(x.magnitude > 6 ? 1 : 0, 2));
      var = std::ldexp(1.0F, 2 * s) - 0.5F;
      shift = std::max(shift, s);
    }
  }
  Value y = layer("batch_norm", {x}, {{"eps", 0.5}}, x.dims, std::move(weights));
  y.magnitude = std::max(x.magnitude, 2) + 2;
  y.fraction = x.fraction + shift;
  return y;
}

Value Builder::activation(const Value& x) {
  std::string op = one_of<Text>({"relu", "relu", "relu6", "leaky_relu", "hard_sigmoid"});
  if (!options_.exact && chance(40)) op = one_of<Text>({"sigmoid", "silu"});
  if (x.magnitude > 12) op = "relu6";
  AttrMap attrs;
  if (op == "leaky_relu") attrs["alpha"] = 0.5;
  if (op == "hard_sigmoid") attrs["alpha"] = 0.25, attrs["beta"] = 0.5;
  Value y = keep_bits(layer(op, {x}, attrs, x.dims), x);
  if (op == "relu6") y.magnitude = std::min(x.magnitude, 3);
  if (op == "leaky_relu") y.fraction += 1;
  if (op == "hard_sigmoid") y.magnitude = 1, y.fraction += 2;
  return y;
}

Value Builder::add(const Value& a, const Value& b) {
  Value y = layer("add", chance(50) ? std::vector{a, b} : std::vector{b, a}, {}, a.dims);
  y.magnitude = std::max(a.magnitude, b.magnitude) + 1;
  y.fraction = std::max(a.fraction, b.fraction);
  return y;
}

Value Builder::pad(const Value& x) {
  const Ints pads{pick(0, 2), pick(0, 2), pick(0, 2), pick(0, 2)};
  const bool reflect = chance(25) && x.dims.h > 2 && x.dims.w > 2;
  return keep_bits(layer("pad", {x}, {{"pads", pads}, {"mode", Text(reflect ? "reflect" : "zero")}},
                         {1, x.dims.h + pads[0] + pads[2], x.dims.w + pads[1] + pads[3], x.dims.c}),
                   x);
}

Value Builder::residual_block(const Value& x) {
  const bool project = chance(40);
  const std::int64_t K = project ? pick(1, 6) : x.dims.c, stride = project ? pick(1, 2) : 1;
  const AttrMap same{{"padding", Text("same")}};
  const bool shortcut_first = project && chance(50);
  Value shortcut = x;
  if (shortcut_first) shortcut = conv_norm(x, K, 1, stride, same);
  Value y = maybe_activation(conv_norm(x, K, one_of<std::int64_t>({1, 3}), stride, same), 80);
  y = conv_norm(y, K, 3, 1, same);
  if (chance(15)) y = activation(y);
  if (chance(20)) y = identity(y);
  if (project && !shortcut_first) shortcut = conv_norm(x, K, 1, stride, same);
  return maybe_activation(add(y, shortcut), 80);
}

Value Builder::preactivation_block(const Value& x) {
  Value y = maybe_activation(norm(x), 80);
  y = maybe_activation(conv_norm(y, pick(1, 6), 3, 1, {{"padding", Text("same")}}), 80);
  y = conv(y, x.dims.c, 1, 1, {{"padding", Text("same")}});
  return add(y, x);
}

Value Builder::squeeze_block(const Value& x) {
  Value y = conv_norm(x, x.dims.c, 1, 1, {{"padding", Text("valid")}});
  Value gate = keep_bits(layer("global_avg_pool", {y}, {}, {1, 1, 1, y.dims.c}), y);
  gate.fraction += bits(y.dims.h * y.dims.w) - 1;  // only called where H W is a power of two
  gate = activation(conv(gate, pick(1, 3), 1, 1, {{"padding", Text("valid")}}));
  gate = conv(gate, x.dims.c, 1, 1, {{"padding", Text("valid")}});
  gate = layer("hard_sigmoid", {gate}, {{"alpha", 0.25}, {"beta", 0.5}}, gate.dims);
  Value scaled = layer("mul", {y, gate}, {}, y.dims);
  return maybe_activation(add(scaled, x), 80);
}

Value Builder::grouped_block(const Value& before) {
  const Value x = chance(40) ? norm(before) : before;  // often after an activation or a sum that nothing else reads
  const std::int64_t groups = x.dims.c % 2 == 0 && chance(50) ? 2 : x.dims.c;
  const std::int64_t dilation = pick(1, 2);
  return maybe_activation(conv_norm(x, groups * pick(1, 2), 3, 1,
                                    {{"groups", groups},
                                     {"dilation", Ints{dilation, dilation}},
                                     {"padding", Text(chance(50) ? "same" : "same_lower")}}),
                          80);
}

Value Builder::padded_block(const Value& x) {
  Value padded = pad(x);
  if (chance(30)) padded = pad(padded);
  if (chance(20)) padded = identity(padded);
  if (chance(30)) {  // a zero pad must stay in front of a pool
    const Dims dims{1, padded.dims.h - 1, padded.dims.w - 1, padded.dims.c};
    if (dims.h < 1 || dims.w < 1) return padded;
    return keep_bits(layer("max_pool", {padded}, {{"kernel", Ints{2, 2}}, {"stride", Ints{1, 1}}}, dims), padded);
  }
  const bool shared = chance(25);
  const Value y =
      conv_norm(padded, pick(1, 6), 1, pick(1, 2), {{"padding", one_of<Text>({"valid", "same", "same_lower"})}});
  if (!shared) return conv_norm(y, pick(1, 6), 3, 1);
  const Value z = conv_norm(padded, y.dims.c, 1, 1, {{"padding", Text("valid")}});
  return z.dims == y.dims ? add(y, z) : z;
}

/// A convolution's raw value that two others read: nothing may vanish into it.
Value Builder::shared_block(const Value& x) {
  const Value raw = conv(x, x.dims.c, 3, 1, {{"padding", Text("same")}});
  const Value a = activation(raw);
  if (chance(30)) return add(raw, raw);
  return chance(50) ? add(norm(raw), a) : add(a, raw);
}

Value Builder::pool_block(const Value& x) {
  const bool max = chance(50);
  AttrMap attrs{
      {"kernel", Ints{2, 2}}, {"stride", Ints{2, 2}}, {"padding", Text("explicit")}, {"pads", Ints{0, 0, 0, 0}}};
  if (max || !options_.exact) attrs["ceil_mode"] = chance(50);
  if (max || !options_.exact) attrs["pads"] = Ints{1, 0, 0, 1};
  const std::string op = max ? "max_pool" : "avg_pool";
  const AttrMap complete = complete_attrs(*find_op(op), attrs, op);
  const Dims dims = find_op(op)->infer({op, &complete, std::span(&x.dims, 1), {}});
  Value y = keep_bits(layer(op, {x}, attrs, dims), x);
  if (!max) y.fraction += 2;
  return y;
}

Value Builder::head(Value x) {
  const std::int64_t K = pick(2, 5);
  const int kind = static_cast<int>(pick(0, 5));
  if (kind == 0) return x;
  if (kind == 5) {
    const bool even =
        x.dims.h % 2 == 0 && x.dims.w % 2 == 0 && std::has_single_bit(static_cast<std::uint64_t>(x.dims.h * x.dims.w));
    const std::int64_t output = even || !options_.exact ? 2 : 1;  // bins of 2^k values
    x = layer("adaptive_avg_pool", {x}, {{"output", Ints{output, output}}}, {1, output, output, x.dims.c});
    x = layer("flatten", {x}, {{"order", Text("nchw")}}, {1, 1, 1, output * output * x.dims.c});
  } else if (kind >= 3) {
    x = layer("global_avg_pool", {x}, {}, {1, 1, 1, x.dims.c});
    if (kind == 4) x = layer("flatten", {x}, {{"order", Text(chance(50) ? "nchw" : "nhwc")}}, x.dims);
  } else {
    if (kind == 2)
      x = keep_bits(
          layer("max_pool", {x}, {{"kernel", Ints{2, 2}}, {"stride", Ints{1, 1}}, {"padding", Text("same")}}, x.dims),
          x);
    const Dims dims{1, 1, 1, x.dims.h * x.dims.w * x.dims.c};
    x = keep_bits(layer("flatten", {x}, {{"order", Text(chance(70) ? "nchw" : "nhwc")}}, dims), x);
  }
  if (chance(30)) x = identity(x);
  const std::string name = "fc" + std::to_string(counter_);
  std::map<std::string, std::string, std::less<>> weights{{"weight", weight(name, {K, x.dims.c}, -1, 1)}};
  if (chance(60)) weights["bias"] = weight(name + ".bias", {K}, -3, 3);
  Value y = layer("dense", {x}, {}, {1, 1, 1, K}, std::move(weights));
  y.magnitude = 40;  // nothing that needs exactness follows
  if (chance(30)) y = activation(y);
  if (chance(20)) {
    y = layer("channel_conv1d", {y}, {}, y.dims, {{"weight", weight("eca" + std::to_string(counter_), {3}, -1, 1)}});
  }
  if (chance(30)) y = layer("softmax", {y}, {}, y.dims);
  return y;
}

RandomNetwork Builder::build() {
  Value x{"input", {1, pick(4, 9), pick(4, 9), pick(1, 4)}, 3, 0};
  if (chance(40)) x.dims.h = x.dims.w = 8;
  network_.input = x.dims;
  network_.layers.push_back(
      {x.name, "input", {}, {{"channels", x.dims.c}, {"height", x.dims.h}, {"width", x.dims.w}}, {}});
  if (chance(25)) x = norm(x);
  if (chance(15)) x = identity(x);
  if (chance(30)) x = pad(x);
  x = maybe_activation(conv_norm(x, pick(1, 6), one_of<std::int64_t>({1, 3, 5}), pick(1, 2)), 80);

  for (std::int64_t block = pick(1, options_.blocks); block > 0; --block) {
    const bool power_of_two = std::has_single_bit(static_cast<std::uint64_t>(x.dims.h * x.dims.w));
    if (x.magnitude > 10) x = activation(x);
    if (!room(x, 3)) break;
    const auto kind = pick(0, 6);
    if (kind == 0 || x.dims.h < 2 || x.dims.w < 2)
      x = residual_block(x);
    else if (kind == 1)
      x = preactivation_block(x);
    else if (kind == 2)
      x = power_of_two && fits(2 * (x.magnitude + 12), 2 * (x.fraction + 10)) ? squeeze_block(x) : residual_block(x);
    else if (kind == 3)
      x = grouped_block(x);
    else if (kind == 4)
      x = padded_block(x);
    else if (kind == 5)
      x = shared_block(x);
    else
      x = pool_block(x);
    if (chance(15)) x = identity(x);
    if (chance(10)) activation(x);  // a dead layer
  }
  x = head(x);
  network_.output = x.name;
  if (chance(30)) std::shuffle(network_.layers.begin(), network_.layers.end(), random_);
  return std::move(network_);
}

}  // namespace

std::vector<float> RandomNetwork::input_values(std::int64_t n, std::uint64_t seed) const {
  std::mt19937_64 random(seed);
  std::vector<float> values(static_cast<std::size_t>(n * input.elements()));
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 9) - 4);
  return values;
}

RandomNetwork random_network(std::uint64_t seed, const RandomNetworkOptions& options) {
  return Builder(seed, options).build();
}

}  // namespace resnet::test
