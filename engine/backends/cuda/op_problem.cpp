#include "backends/cuda/op_problem.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "base/check.hpp"

namespace resnet::cuda {
namespace {

using kernels::Problem;

/// All that a problem depends on.
struct NodeView {
  const OpDef& op;
  const OpShapes& shapes;
  const Dims& output;
  const EpilogueProblem& epilogue;
  const NodeTypes& types;

  const Dims& input() const { return shapes.inputs[0]; }
  bool has_weight(std::size_t index) const { return shapes.weights[index] != nullptr; }
};

[[noreturn]] void refuse(const NodeView& node, const std::string& what) {
  fail(ErrorCode::unsupported, std::string(node.op.name) + " takes no " + what + " here",
       "layer '" + std::string(node.shapes.layer) + "'", "unfuse it");
}

void expect_no_epilogue(const NodeView& node) {
  if (node.epilogue != EpilogueProblem{}) refuse(node, "epilogue");
}

void expect_equal_types(const NodeView& node) {
  if (node.types.in != node.types.out) refuse(node, "change of type");
}

template <class P>
P with_arithmetic(P problem, const NodeView& node) {
  problem.in = node.types.in, problem.out = node.types.out, problem.precision = node.types.precision;
  problem.epilogue = node.epilogue;
  constexpr std::size_t bias = 1;
  problem.epilogue.shift |= node.has_weight(bias);
  return problem;
}

Problem convolution(const NodeView& node) { return with_arithmetic(conv_problem(node.shapes, node.output), node); }
/// A row of C values with one channel each lies in memory as one position of C channels does.
Problem channel_convolution(const NodeView& node) {
  expect_no_epilogue(node);
  const Dims& in = node.input();
  ConvProblem problem;
  problem.N = in.n, problem.H = problem.P = 1, problem.W = problem.Q = in.c;
  problem.C = problem.K = problem.R = 1;
  problem.S = (*node.shapes.weights[0])[0];
  problem.pad_left = problem.pad_right = problem.S / 2;
  problem.in = node.types.in, problem.out = node.types.out, problem.precision = node.types.precision;
  return problem;
}

Problem dense_layer(const NodeView& node) { return with_arithmetic(dense_problem(node.shapes, node.output), node); }

Problem pointwise(const NodeView& node, PointwiseKind kind, const EpilogueProblem& epilogue) {
  if (epilogue.residual) refuse(node, "residual");
  const Dims& in = node.input();
  PointwiseProblem problem;
  problem.kind = kind;
  problem.N = in.n, problem.positions_per_image = in.h * in.w, problem.C = in.c;
  problem.in = node.types.in, problem.out = node.types.out;
  problem.epilogue = epilogue;
  return problem;
}

Problem scale_shift(const NodeView& node) { return pointwise(node, PointwiseKind::copy, node.epilogue); }

Problem batch_norm(const NodeView& node) {
  EpilogueProblem epilogue = node.epilogue;
  epilogue.scale = epilogue.shift = true;
  return pointwise(node, PointwiseKind::copy, epilogue);
}

Problem activation(const NodeView& node) {
  expect_no_epilogue(node);
  EpilogueProblem epilogue;
  epilogue.activation = *activation_of(node.op, *node.shapes.attrs);
  return pointwise(node, PointwiseKind::copy, epilogue);
}

Problem add(const NodeView& node) { return pointwise(node, PointwiseKind::add, node.epilogue); }

Problem multiply(const NodeView& node) {
  const bool whole = node.shapes.inputs[1] == node.input();
  return pointwise(node, whole ? PointwiseKind::multiply : PointwiseKind::multiply_channels, node.epilogue);
}

Problem window_pool(const NodeView& node, bool max) {
  expect_no_epilogue(node);
  expect_equal_types(node);
  PoolProblem problem = pool_problem(node.shapes, node.output, max);
  problem.dtype = node.types.in;
  return problem;
}

Problem max_pool(const NodeView& node) { return window_pool(node, true); }
Problem average_pool(const NodeView& node) { return window_pool(node, false); }

Problem adaptive_pool(const NodeView& node) {
  expect_no_epilogue(node);
  const Dims& in = node.input();
  return AdaptivePoolProblem{in.n, in.h, in.w, in.c, node.output.h, node.output.w, node.types.in, node.types.out};
}

Problem pad(const NodeView& node) {
  expect_no_epilogue(node);
  expect_equal_types(node);
  const Dims& in = node.input();
  const std::vector<std::int64_t>& pads = ints_attr(*node.shapes.attrs, "pads");
  PadProblem problem;
  problem.N = in.n, problem.H = in.h, problem.W = in.w, problem.C = in.c;
  problem.pad_top = pads[0], problem.pad_left = pads[1], problem.pad_bottom = pads[2], problem.pad_right = pads[3];
  problem.reflect = string_attr(*node.shapes.attrs, "mode") == "reflect";
  problem.dtype = node.types.in;
  return problem;
}

Problem copy(const NodeView& node) {
  expect_no_epilogue(node);
  return pointwise(node, PointwiseKind::copy, {});
}

/// NHWC order is the memory's own; NCHW order is a change of layout.
Problem flatten(const NodeView& node) {
  if (string_attr(*node.shapes.attrs, "order") == "nhwc") return copy(node);
  expect_no_epilogue(node);
  ConvertProblem problem;
  problem.in.dims = problem.out.dims = node.input();
  problem.in.dtype = node.types.in, problem.out.dtype = node.types.out;
  problem.out.layout = LayoutId::nchw;
  return problem;
}

Problem softmax(const NodeView& node) {
  expect_no_epilogue(node);
  const Dims& in = node.input();
  return SoftmaxProblem{in.n * in.h * in.w, in.c, node.types.in, node.types.out};
}

struct Entry {
  std::string_view op;
  Problem (*make)(const NodeView&);
  std::size_t kind;
};

template <class P>
constexpr std::size_t kind = kernels::problem_kind<P>;

constexpr std::array entries{
    Entry{"conv2d", convolution, kind<ConvProblem>},
    Entry{"channel_conv1d", channel_convolution, kind<ConvProblem>},
    Entry{"dense", dense_layer, kind<DenseProblem>},
    Entry{"batch_norm", batch_norm, kind<PointwiseProblem>},
    Entry{"relu", activation, kind<PointwiseProblem>},
    Entry{"relu6", activation, kind<PointwiseProblem>},
    Entry{"leaky_relu", activation, kind<PointwiseProblem>},
    Entry{"sigmoid", activation, kind<PointwiseProblem>},
    Entry{"hard_sigmoid", activation, kind<PointwiseProblem>},
    Entry{"silu", activation, kind<PointwiseProblem>},
    Entry{"add", add, kind<PointwiseProblem>},
    Entry{"mul", multiply, kind<PointwiseProblem>},
    Entry{"max_pool", max_pool, kind<PoolProblem>},
    Entry{"avg_pool", average_pool, kind<PoolProblem>},
    Entry{"global_avg_pool", adaptive_pool, kind<AdaptivePoolProblem>},
    Entry{"adaptive_avg_pool", adaptive_pool, kind<AdaptivePoolProblem>},
    Entry{"pad", pad, kind<PadProblem>},
    Entry{"flatten", flatten, kind<PointwiseProblem>},
    Entry{"softmax", softmax, kind<SoftmaxProblem>},
    Entry{"identity", copy, kind<PointwiseProblem>},
    Entry{"scale_shift", scale_shift, kind<PointwiseProblem>},
};

const Entry* find_entry(const OpDef& op) {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.op == op.name; });
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace

std::optional<Problem> op_problem(const OpDef& op, const OpShapes& shapes, const Dims& output,
                                  const EpilogueProblem& epilogue, const NodeTypes& types) {
  const Entry* const entry = find_entry(op);
  if (!entry) return std::nullopt;
  return entry->make({op, shapes, output, epilogue, types});
}

std::optional<std::size_t> problem_kind(const OpDef& op, const AttrMap& attrs) {
  const Entry* const entry = find_entry(op);
  if (!entry) return std::nullopt;
  if (op.name == "flatten" && string_attr(attrs, "order") == "nchw") return kind<ConvertProblem>;
  return entry->kind;
}

bool can_change_type(const OpDef& op) {
  const Entry* const entry = find_entry(op);
  return entry && entry->kind != kind<PoolProblem> && entry->kind != kind<PadProblem>;
}

std::vector<float> kernel_weights(const OpDef& op, const OpShapes& shapes, std::span<const float> weight) {
  if (op.name != "dense" || string_attr(*shapes.attrs, "input_order") != "nchw") return {weight.begin(), weight.end()};
  const auto C = static_cast<std::size_t>(shapes.inputs[0].c);
  const auto channels = static_cast<std::size_t>(int_attr(*shapes.attrs, "input_channels"));
  const std::size_t positions = C / channels, K = weight.size() / C;
  std::vector<float> turned(weight.size());
  for (std::size_t k = 0; k < K; ++k) {
    for (std::size_t position = 0; position < positions; ++position) {
      for (std::size_t c = 0; c < channels; ++c)
        turned[k * C + position * channels + c] = weight[k * C + c * positions + position];
    }
  }
  return turned;
}

}  // namespace resnet::cuda
