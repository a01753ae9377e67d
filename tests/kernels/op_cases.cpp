#include "kernels/op_cases.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/numbers.hpp"
#include "resnet_engine/error.hpp"

namespace resnet::test {
namespace {

using Ints = std::vector<std::int64_t>;

class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}
  std::int64_t in(std::int64_t low, std::int64_t high) { return random_integer(seed_, 77, next_++, low, high); }
  bool chance(int percent) { return in(1, 100) <= percent; }
  double real(double low, double high) { return low + (high - low) * static_cast<double>(in(0, 1000)) / 1000; }

 private:
  std::uint64_t seed_, next_ = 0;
};

/// stride, padding and pads as all window ops have them. `most_pad` bounds explicit pads.
void window_attrs(AttrMap& attrs, Random& random, std::int64_t most_pad_h, std::int64_t most_pad_w) {
  attrs["stride"] = Ints{random.in(1, 3), random.in(1, 3)};
  constexpr const char* policies[] = {"valid", "explicit", "same", "same_lower"};
  const std::string policy = policies[random.in(0, 3)];
  attrs["padding"] = policy;
  if (policy == "explicit") {
    attrs["pads"] =
        Ints{random.in(0, most_pad_h), random.in(0, most_pad_w), random.in(0, most_pad_h), random.in(0, most_pad_w)};
  }
}

void conv2d(NodeCase& node, Random& random) {
  const std::int64_t R = random.in(1, 5), S = random.in(1, 5);
  window_attrs(node.attrs, random, 3, 3);
  node.attrs["dilation"] = Ints{random.in(1, 2), random.in(1, 2)};
  std::int64_t groups = 1, C = node.inputs[0].c, K = random.in(1, 20);
  if (random.chance(40)) {
    groups = random.in(1, 4);
    C = node.inputs[0].c = groups * random.in(1, 9), K = groups * random.in(1, 9);
  }
  node.attrs["groups"] = groups;
  node.weights[0] = TensorShape{K, R, S, C / groups};
  if (random.chance(50)) node.weights[1] = TensorShape{K};
}

void channel_conv1d(NodeCase& node, Random& random) {
  node.inputs[0] = {node.inputs[0].n, 1, 1, node.inputs[0].c};
  node.weights[0] = TensorShape{2 * random.in(0, 4) + 1};
}

void dense(NodeCase& node, Random& random) {
  const std::int64_t channels = random.in(1, 9), C = channels * random.in(1, 12), K = random.in(1, 40);
  node.inputs[0] = {node.inputs[0].n, 1, 1, C};
  if (random.chance(50)) {
    node.attrs["input_order"] = std::string("nchw");
    node.attrs["input_channels"] = channels;
  }
  node.weights[0] = TensorShape{K, C};
  if (random.chance(50)) node.weights[1] = TensorShape{K};
}

void batch_norm(NodeCase& node, Random& random) {
  node.attrs["eps"] = random.real(1e-5, 1e-2);
  const TensorShape channels{node.inputs[0].c};
  for (std::size_t i = 0; i < 4; ++i) {
    if (i >= 2 || random.chance(70)) node.weights[i] = channels;  // gamma and beta may be absent
  }
}

void multiply(NodeCase& node, Random& random) {
  if (random.chance(50)) node.inputs[1] = {node.inputs[0].n, 1, 1, node.inputs[0].c};
}

void pool(NodeCase& node, Random& random) {
  const std::int64_t R = random.in(1, 4), S = random.in(1, 4);
  node.attrs["kernel"] = Ints{R, S};
  window_attrs(node.attrs, random, R - 1, S - 1);
  node.attrs["ceil_mode"] = random.chance(50);
  if (node.op->name == "avg_pool") node.attrs["count_include_pad"] = random.chance(50);
}

void pad(NodeCase& node, Random& random) {
  const bool reflect = random.chance(50);
  node.attrs["mode"] = std::string(reflect ? "reflect" : "zero");
  const std::int64_t most_h = reflect ? node.inputs[0].h - 1 : 3, most_w = reflect ? node.inputs[0].w - 1 : 3;
  const auto some = [&](std::int64_t most) { return random.in(0, std::min<std::int64_t>(most, 3)); };
  node.attrs["pads"] = Ints{some(most_h), some(most_w), some(most_h), some(most_w)};
}

/// What the op needs beyond inputs of equal size.
void specialise(NodeCase& node, Random& random) {
  const std::string_view op = node.op->name;
  if (op == "conv2d") return conv2d(node, random);
  if (op == "channel_conv1d") return channel_conv1d(node, random);
  if (op == "dense") return dense(node, random);
  if (op == "batch_norm") return batch_norm(node, random);
  if (op == "mul") return multiply(node, random);
  if (op == "max_pool" || op == "avg_pool") return pool(node, random);
  if (op == "pad") return pad(node, random);
  if (op == "leaky_relu") node.attrs["alpha"] = random.real(-0.5, 0.5);
  if (op == "hard_sigmoid") node.attrs["alpha"] = random.real(0.1, 0.5), node.attrs["beta"] = random.real(0.2, 0.8);
  if (op == "adaptive_avg_pool") node.attrs["output"] = Ints{random.in(1, 8), random.in(1, 8)};
  if (op == "flatten") node.attrs["order"] = std::string(random.chance(50) ? "nchw" : "nhwc");
  constexpr std::string_view plain[] = {
      "leaky_relu", "hard_sigmoid", "adaptive_avg_pool", "flatten",         "relu",       "relu6", "sigmoid", "silu",
      "add",        "softmax",      "identity",          "global_avg_pool", "scale_shift"};
  if (std::find(std::begin(plain), std::end(plain), op) == std::end(plain))
    throw std::logic_error("tests/kernels/op_cases.cpp knows no op '" + std::string(op) + "'");
}

EpilogueProblem random_epilogue(const OpDef& op, Random& random) {
  EpilogueProblem epilogue;
  if (!op.takes_epilogue || random.chance(25)) return epilogue;
  epilogue.scale = random.chance(50), epilogue.shift = random.chance(50);
  epilogue.residual = op.name == "conv2d" && random.chance(50);  // as the passes make them
  epilogue.activation.kind = static_cast<ActivationKind>(random.in(0, 6));
  epilogue.activation.alpha = 0.2f, epilogue.activation.beta = 0.4f;
  return epilogue;
}

}  // namespace

std::vector<const TensorShape*> NodeCase::weight_shapes() const {
  std::vector<const TensorShape*> shapes;
  for (const std::optional<TensorShape>& shape : weights) shapes.push_back(shape ? &*shape : nullptr);
  return shapes;
}

NodeCase random_node(const OpDef& op, std::uint64_t seed, std::int64_t largest) {
  Random random(seed);
  constexpr int most_tries = 1000;
  for (int i = 0; i < most_tries; ++i) {
    NodeCase node;
    node.op = &op;
    const Dims dims{random.in(1, 3), random.in(1, largest), random.in(1, largest), random.in(1, 2 * largest)};
    node.inputs.assign(static_cast<std::size_t>(op.inputs), dims);
    node.weights.resize(op.weights.size());
    specialise(node, random);
    node.attrs = complete_attrs(op, node.attrs, "case");
    const std::vector<const TensorShape*> shapes = node.weight_shapes();
    try {
      node.output = op.infer({"case", &node.attrs, node.inputs, shapes});
    } catch (const Error&) {
      continue;  // a filter that does not fit: another size
    }
    node.epilogue = random_epilogue(op, random);
    return node;
  }
  throw std::logic_error("no random node of op '" + std::string(op.name) + "' passes its shape rule");
}

}  // namespace resnet::test
