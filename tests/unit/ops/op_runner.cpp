#include "op_runner.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

namespace resnet::test {

namespace {

template <class T>
std::vector<T> nans(const Dims& dims) {
  return std::vector<T>(static_cast<std::size_t>(dims.elements()), std::numeric_limits<T>::quiet_NaN());
}

/// Everything that a call's shape rule and loops point at.
struct Operands {
  explicit Operands(const OpCall& call) : op(find_op(call.op)), attrs(complete_attrs(*op, call.attrs, "layer")) {
    for (const Tensor& input : call.inputs) {
      dims.push_back(input.dims);
      inputs.push_back(input.values.data());
      wide.emplace_back(input.values.begin(), input.values.end());
    }
    for (const std::vector<double>& values : wide) wide_inputs.push_back(values.data());
    for (std::size_t i = 0; i < op->weights.size(); ++i) {
      const bool present = i < call.weights.size() && !call.weights[i].shape.empty();
      shapes.push_back(present ? &call.weights[i].shape : nullptr);
      weights.push_back(present ? call.weights[i].values.data() : nullptr);
    }
  }
  OpShapes view() const { return {"layer", &attrs, dims, shapes}; }

  const OpDef* op;
  AttrMap attrs;
  std::vector<Dims> dims;
  std::vector<const float*> inputs, weights;
  std::vector<std::vector<double>> wide;
  std::vector<const double*> wide_inputs;
  std::vector<const TensorShape*> shapes;
};

}  // namespace

Tensor row(std::vector<float> values) {
  const auto width = static_cast<std::int64_t>(values.size());
  return {{1, 1, width, 1}, std::move(values)};
}

Tensor counted(const Dims& dims) {
  Tensor tensor{dims, std::vector<float>(static_cast<std::size_t>(dims.elements()))};
  std::iota(tensor.values.begin(), tensor.values.end(), 0.0F);
  return tensor;
}

Dims infer(const OpCall& call) {
  const Operands operands(call);
  return operands.op->infer(operands.view());
}

OpResult run(const OpCall& call, const Activation& activation) {
  const Operands o(call);
  const Dims dims = o.op->infer(o.view());
  std::vector<float> f32 = nans<float>(dims);
  std::vector<double> f64 = nans<double>(dims), chain = nans<double>(dims);
  run_reference_node(*o.op, {&o.attrs, o.inputs, o.dims, o.weights, o.shapes, f32.data(), dims},
                     ReferenceEpilogue<float>{nullptr, nullptr, nullptr, activation});
  run_reference_node(*o.op, {&o.attrs, o.inputs, o.dims, o.weights, o.shapes, f64.data(), dims},
                     ReferenceEpilogue<double>{nullptr, nullptr, nullptr, activation});
  run_reference_node(*o.op, {&o.attrs, o.wide_inputs, o.dims, o.weights, o.shapes, chain.data(), dims},
                     ReferenceEpilogue<double, double>{nullptr, nullptr, nullptr, activation});
  EXPECT_EQ(std::memcmp(f64.data(), chain.data(), f64.size() * sizeof(double)), 0)
      << call.op << ": the two double forms";
  double largest = 0;
  for (const double value : f64) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  for (std::size_t i = 0; i < f64.size(); ++i) {
    const double value = static_cast<double>(f32[i]);
    const bool same = std::isfinite(f64[i]) ? std::abs(value - f64[i]) <= 1e-5 * largest
                      : std::isnan(f64[i])  ? std::isnan(value)
                                            : value == f64[i];
    EXPECT_TRUE(same) << call.op << "[" << i << "]: " << value << " in float, " << f64[i] << " in double";
  }
  return {dims, std::move(f64)};
}

OpResult run_on_both_axes(const OpCall& call) {
  OpCall column = call;
  for (Tensor& input : column.inputs) std::swap(input.dims.h, input.dims.w);
  for (Weight& weight : column.weights) {
    if (weight.shape.size() == 4) std::swap(weight.shape[1], weight.shape[2]);
  }
  for (auto& [name, value] : column.attrs) {
    Ints* list = std::get_if<Ints>(&value);
    if (list && list->size() == 2) *list = {(*list)[1], (*list)[0]};
    if (list && list->size() == 4) *list = {(*list)[1], (*list)[0], (*list)[3], (*list)[2]};
  }
  const OpResult as_row = run(call), as_column = run(column);
  EXPECT_EQ(as_column.dims, (Dims{as_row.dims.n, as_row.dims.w, as_row.dims.h, as_row.dims.c}));
  EXPECT_EQ(std::memcmp(as_row.values.data(), as_column.values.data(), as_row.values.size() * sizeof(double)), 0)
      << call.op << ": the vertical axis differs from the horizontal one";
  return as_row;
}

}  // namespace resnet::test
