#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "backends/cuda/op_problem.hpp"
#include "kernels/kernel_run.hpp"
#include "kernels/numbers.hpp"
#include "kernels/op_cases.hpp"
#include "ops/reference.hpp"
#include "resnet_engine/error.hpp"

/// Every line of the op table on CUDA: a kernel that never refuses, and the op's own loop as its judge.
namespace resnet::test {
namespace {

using OpTable = testing::TestWithParam<const OpDef*>;

constexpr cuda::NodeTypes all_types[] = {{DType::f32, DType::f32, Precision::fp32},
                                         {DType::f32, DType::f32, Precision::tf32},
                                         {DType::f16, DType::f16, Precision::fp16},
                                         {DType::bf16, DType::bf16, Precision::bf16}};

kernels::Problem problem_of(const NodeCase& node, const cuda::NodeTypes& types) {
  const std::vector<const TensorShape*> weights = node.weight_shapes();
  const OpShapes shapes{"case", &node.attrs, node.inputs, weights};
  return *cuda::op_problem(*node.op, shapes, node.output, node.epilogue, types);
}

TEST_P(OpTable, EntryHasAKernelThatNeverRefuses) {
  constexpr std::uint64_t cases = 200;
  for (const DeviceInfo& device : devices()) {
    // Per kind of problem that the op turns into: the kernels that took all cases so far.
    std::map<std::size_t, std::set<std::string_view>> takers;
    for (std::uint64_t i = 0; i < cases; ++i) {
      const NodeCase node = random_node(*GetParam(), options().seed * 1000 + i, i % 2 == 0 ? 12 : 400);
      for (const cuda::NodeTypes& types : all_types) {
        const kernels::Problem problem = problem_of(node, types);
        std::set<std::string_view> now;
        for (const kernels::Kernel* kernel : kernels::catalog()) {
          if (kernel->supports(problem, device)) now.insert(kernel->name);
        }
        const auto [known, first] = takers.emplace(problem.index(), now);
        if (!first) std::erase_if(known->second, [&](std::string_view name) { return !now.contains(name); });
        ASSERT_FALSE(known->second.empty()) << "no single kernel takes everything, at the latest since "
                                            << kernels::to_string(problem) << " on sm_" << device.sm;
      }
    }
  }
}

/// Operands of a node as the reference loop and as the kernel want them.
struct NodeData {
  std::vector<std::vector<float>> inputs, weights;
  std::vector<float> scale, shift, residual;  ///< of the epilogue
};

std::vector<float> random_values(std::uint64_t stream, std::int64_t count, float size, DType type) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = rounded(type, static_cast<double>(size * random_normal(options().seed, stream, i)));
  return values;
}

NodeData data_of(const NodeCase& node, DType type) {
  NodeData data;
  std::uint64_t stream = 100;
  for (const Dims& dims : node.inputs) data.inputs.push_back(random_values(stream++, dims.elements(), 1, type));
  for (std::size_t i = 0; i < node.weights.size(); ++i) {
    const std::string_view role = node.op->weights[i].role;
    const TensorShape shape = node.weights[i].value_or(TensorShape{});
    std::int64_t count = node.weights[i] ? 1 : 0, per_filter = 1;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      count *= shape[axis];
      if (axis > 0) per_filter *= shape[axis];
    }
    const float size = 1 / std::sqrt(static_cast<float>(per_filter));
    data.weights.push_back(random_values(stream++, count, size, role == "weight" ? type : DType::f32));
    if (role == "var") {
      for (float& value : data.weights.back()) value = 0.5f + value * value;
    }
  }
  const std::int64_t K = node.output.c;
  if (node.epilogue.scale) data.scale = random_values(stream++, K, 1, DType::f32);
  if (node.epilogue.shift) data.shift = random_values(stream++, K, 0.5f, DType::f32);
  if (node.epilogue.residual) data.residual = random_values(stream++, node.output.elements(), 1, type);
  return data;
}

ExactResult reference_loop(const NodeCase& node, const NodeData& data) {
  std::vector<const float*> inputs, weights;
  for (const std::vector<float>& input : data.inputs) inputs.push_back(input.data());
  for (const std::vector<float>& weight : data.weights) weights.push_back(weight.empty() ? nullptr : weight.data());
  const std::vector<const TensorShape*> shapes = node.weight_shapes();
  const std::vector<double> scale(data.scale.begin(), data.scale.end()), shift(data.shift.begin(), data.shift.end());
  ExactResult result;
  result.y.resize(static_cast<std::size_t>(node.output.elements()));
  ReferenceArgs<double> args;
  args.attrs = &node.attrs, args.inputs = inputs, args.input_dims = node.inputs, args.weights = weights;
  args.weight_shapes = shapes, args.output = result.y.data(), args.output_dims = node.output;
  ReferenceEpilogue<double> epilogue;
  if (!scale.empty()) epilogue.scale = scale.data();
  if (!shift.empty()) epilogue.shift = shift.data();
  if (!data.residual.empty()) epilogue.residual = data.residual.data();
  epilogue.activation = node.epilogue.activation;
  run_reference_node(*node.op, args, epilogue);
  return result;
}

/// tf32 may also be computed in fp32.
std::vector<ExactResult> reference_loops(const NodeCase& node, const NodeData& data, Precision precision) {
  std::vector<ExactResult> results{reference_loop(node, data)};
  if (precision != Precision::tf32 || node.weights.empty() || node.op->weights[0].role != "weight") return results;
  NodeData rounded_data = data;
  for (float& value : rounded_data.inputs[0]) value = rounded_to_tf32(value);
  for (float& value : rounded_data.weights[0]) value = rounded_to_tf32(value);
  results.push_back(reference_loop(node, rounded_data));
  return results;
}

/// Bias and batch norm go into scale and shift, as the weight store evaluates them.
void fold(HostData& host, const NodeCase& node, const NodeData& data) {
  const auto K = static_cast<std::size_t>(node.output.c);
  std::vector<double> a(K, 1.0), b(K, 0.0);
  const auto weight = [&](std::size_t i, std::size_t k, double absent) {
    return data.weights[i].empty() ? absent : static_cast<double>(data.weights[i][k]);
  };
  for (std::size_t k = 0; k < K; ++k) {
    if (node.op->name == "batch_norm") {
      a[k] = weight(0, k, 1) / std::sqrt(weight(3, k, 0) + float_attr(node.attrs, "eps"));
      b[k] = weight(1, k, 0) - weight(2, k, 0) * a[k];
    } else if (node.op->weights.size() == 2) {
      b[k] = weight(1, k, 0);
    }
    const double scale = data.scale.empty() ? 1 : static_cast<double>(data.scale[k]);
    a[k] *= scale, b[k] = b[k] * scale + (data.shift.empty() ? 0 : static_cast<double>(data.shift[k]));
  }
  host.scale.assign(a.begin(), a.end());
  host.shift.assign(b.begin(), b.end());
}

TEST_P(OpTable, EntryComputesItsReferenceLoop) {
  const std::uint64_t cases = has_access_hooks() ? 4 : 10;
  for (std::uint64_t i = 0; i < cases; ++i) {
    const NodeCase node = random_node(*GetParam(), options().seed * 1000 + i, 9);
    for (const cuda::NodeTypes& types : all_types) {
      const kernels::Problem problem = problem_of(node, types);
      const DeviceInfo& device = devices()[i % devices().size()];
      const kernels::Kernel* const kernel = kernels::select_kernel(problem, device);
      ASSERT_TRUE(kernel) << kernels::to_string(problem) << " has no kernel on sm_" << device.sm;
      SCOPED_TRACE(case_text(*kernel, problem, DataKind::real, device));
      const NodeData data = data_of(node, types.in);
      HostData host;
      host.x = data.inputs[0];
      if (data.inputs.size() > 1) host.second = data.inputs[1];
      if (node.epilogue.residual) host.second = data.residual;
      if (operand_sizes(problem).weight > 0) {
        const std::vector<const TensorShape*> shapes = node.weight_shapes();
        host.weight = cuda::kernel_weights(*node.op, {"case", &node.attrs, node.inputs, shapes}, data.weights[0]);
      }
      fold(host, node, data);
      const OperandSizes sizes = operand_sizes(problem);
      if (sizes.scale == 0) host.scale.clear();
      if (sizes.shift == 0) host.shift.clear();
      const RunResult result = run_kernel(*kernel, problem, device, host);
      ASSERT_EQ(result.error, cudaSuccess);
      for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
      const std::string wrong = judge(problem, DataKind::real, reference_loops(node, data, types.precision), result);
      if (wrong.find("proves nothing") != std::string::npos) continue;  // a case of few values, others have more
      EXPECT_EQ(wrong, "");
    }
  }
}

std::vector<const OpDef*> ops_with_work() {
  std::vector<const OpDef*> ops(op_table().begin(), op_table().end());
  std::erase_if(ops, [](const OpDef* op) { return op->name == "input"; });
  return ops;
}

INSTANTIATE_TEST_SUITE_P(Ops, OpTable, testing::ValuesIn(ops_with_work()),
                         [](const auto& own) { return std::string(own.param->name); });

TEST(OpProblem, LaunchesNothingForTheInput) {
  const AttrMap attrs = {{"channels", std::int64_t{3}}, {"height", std::int64_t{8}}, {"width", std::int64_t{8}}};
  EXPECT_FALSE(cuda::op_problem(*find_op("input"), {"x", &attrs, {}, {}}, {1, 8, 8, 3}, {}, {}));
}

TEST(OpProblem, RefusesAResidualBehindASum) {
  const AttrMap none;
  const Dims dims[] = {{1, 2, 2, 4}, {1, 2, 2, 4}};
  EpilogueProblem epilogue;
  epilogue.residual = true;
  try {
    cuda::op_problem(*find_op("add"), {"sum", &none, dims, {}}, dims[0], epilogue, {});
    FAIL() << "took it";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_EQ(error.where(), "layer 'sum'");
  }
}

TEST(OpProblem, CountsABiasAsAShift) {
  const AttrMap attrs = complete_attrs(*find_op("dense"), {}, "fc");
  const Dims dims[] = {{2, 1, 1, 8}};
  const TensorShape weight{5, 8}, bias{5};
  const TensorShape* const with[] = {&weight, &bias};
  const TensorShape* const without[] = {&weight, nullptr};
  const auto shift = [&](std::span<const TensorShape* const> weights) {
    const auto problem = cuda::op_problem(*find_op("dense"), {"fc", &attrs, dims, weights}, {2, 1, 1, 5}, {}, {});
    return std::get<DenseProblem>(*problem).epilogue.shift;
  };
  EXPECT_TRUE(shift(with));
  EXPECT_FALSE(shift(without));
}

}  // namespace
}  // namespace resnet::test
