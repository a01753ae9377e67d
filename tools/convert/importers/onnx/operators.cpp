#include "convert/importers/onnx/operators.hpp"

#include <algorithm>
#include <array>

namespace resnet::convert::onnx {
namespace {

void convert_identity(Network& net) { net.alias(0, net.value(0)); }

void convert_cast(Network& net) {
  // Precision is the session's choice: a model of halves computes in the precision that the user asks for.
  const std::int64_t to = net.integer("to", 0);
  constexpr std::array<std::int64_t, 4> floats = {1, 10, 11, 16};  // FLOAT, FLOAT16, DOUBLE, BFLOAT16
  if (std::find(floats.begin(), floats.end(), to) == floats.end()) {
    net.reject("turns values of the network into type " + std::to_string(to) +
               " of ONNX, which is no floating-point type");
  }
  convert_identity(net);
}

void convert_dropout(Network& net) {
  if (net.given(2) && net.scalar(2) != 0) {
    net.reject("drops values at inference (training_mode)", "export the model in evaluation mode: model.eval()");
  }
  convert_identity(net);
}

template <const char* Op>
void convert_plain(Network& net) {
  net.set(net.add(Op, {&net.activation(0)}));
}
constexpr char relu[] = "relu", sigmoid[] = "sigmoid";

constexpr std::size_t any = 1'000'000;
constexpr Operator operators[] = {
    {"Add", convert_add, 2, ""},
    {"AveragePool", convert_average_pool, 1,
     "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides"},
    {"BatchNormalization", convert_batch_norm, 5, "epsilon momentum spatial training_mode"},
    {"Cast", convert_cast, 1, "to saturate round_mode"},
    {"Clip", convert_clip, 3, "min max"},
    {"Concat", fold, any, "axis"},
    {"Constant", convert_constant, 0,
     "value sparse_value value_float value_floats value_int value_ints value_string value_strings"},
    {"ConstantOfShape", fold, 1, "value"},
    {"Conv", convert_conv, 3, "auto_pad dilations group kernel_shape pads strides"},
    {"Div", convert_div, 2, ""},
    {"Dropout", convert_dropout, 3, "ratio seed"},
    {"Expand", convert_expand, 2, ""},
    {"Flatten", convert_flatten, 1, "axis"},
    {"Gather", fold, 2, "axis"},
    {"Gemm", convert_gemm, 3, "alpha beta transA transB"},
    {"GlobalAveragePool", convert_global_average_pool, 1, ""},
    {"HardSigmoid", convert_hard_sigmoid, 1, "alpha beta"},
    {"HardSwish", convert_hard_swish, 1, ""},
    {"Identity", convert_identity, 1, ""},
    {"LeakyRelu", convert_leaky_relu, 1, "alpha"},
    {"MatMul", convert_matmul, 2, ""},
    {"MaxPool", convert_max_pool, 1, "auto_pad ceil_mode dilations kernel_shape pads storage_order strides"},
    {"Mul", convert_mul, 2, ""},
    {"Pad", convert_pad, 4, "mode pads value"},
    {"ReduceMean", convert_reduce_mean, 2, "axes keepdims noop_with_empty_axes"},
    {"Relu", convert_plain<relu>, 1, ""},
    {"Reshape", convert_reshape, 2, "allowzero"},
    {"Shape", convert_shape, 1, "start end"},
    {"Sigmoid", convert_plain<sigmoid>, 1, ""},
    {"Slice", fold, 5, "axes ends starts"},
    {"Softmax", convert_softmax, 1, "axis"},
    {"Squeeze", convert_squeeze, 2, "axes"},
    {"Sub", convert_sub, 2, ""},
    {"Transpose", convert_transpose, 1, "perm"},
    {"Unsqueeze", convert_unsqueeze, 2, "axes"},
};

}  // namespace

bool Operator::defines(std::string_view attribute) const {
  for (std::size_t begin = 0; begin < attributes.size();) {
    const std::size_t end = std::min(attributes.find(' ', begin), attributes.size());
    if (attributes.substr(begin, end - begin) == attribute) return true;
    begin = end + 1;
  }
  return false;
}

const Operator* find_operator(std::string_view op) {
  const auto row = std::lower_bound(std::begin(operators), std::end(operators), op,
                                    [](const Operator& o, std::string_view name) { return o.op < name; });
  return row == std::end(operators) || row->op != op ? nullptr : row;
}

}  // namespace resnet::convert::onnx
