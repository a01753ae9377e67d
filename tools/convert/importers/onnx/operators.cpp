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

struct Row {
  std::string_view op;
  Handler handler;
};
constexpr Row rows[] = {
    {"Add", convert_add},
    {"AveragePool", convert_average_pool},
    {"BatchNormalization", convert_batch_norm},
    {"Cast", convert_cast},
    {"Clip", convert_clip},
    {"Concat", fold},
    {"Constant", convert_constant},
    {"ConstantOfShape", fold},
    {"Conv", convert_conv},
    {"Div", convert_div},
    {"Dropout", convert_dropout},
    {"Expand", convert_expand},
    {"Flatten", convert_flatten},
    {"Gather", fold},
    {"Gemm", convert_gemm},
    {"GlobalAveragePool", convert_global_average_pool},
    {"HardSigmoid", convert_hard_sigmoid},
    {"HardSwish", convert_hard_swish},
    {"Identity", convert_identity},
    {"LeakyRelu", convert_leaky_relu},
    {"MatMul", convert_matmul},
    {"MaxPool", convert_max_pool},
    {"Mul", convert_mul},
    {"Pad", convert_pad},
    {"ReduceMean", convert_reduce_mean},
    {"Relu", convert_plain<relu>},
    {"Reshape", convert_reshape},
    {"Shape", convert_shape},
    {"Sigmoid", convert_plain<sigmoid>},
    {"Slice", fold},
    {"Softmax", convert_softmax},
    {"Squeeze", convert_squeeze},
    {"Sub", convert_sub},
    {"Transpose", convert_transpose},
    {"Unsqueeze", convert_unsqueeze},
};

}  // namespace

Handler find_operator(std::string_view op) {
  const auto row = std::lower_bound(std::begin(rows), std::end(rows), op,
                                    [](const Row& r, std::string_view name) { return r.op < name; });
  return row == std::end(rows) || row->op != op ? nullptr : row->handler;
}

}  // namespace resnet::convert::onnx
