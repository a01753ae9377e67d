#pragma once

#include <cstddef>
#include <string_view>

#include "convert/importers/onnx/network.hpp"

/// The operators of ONNX that become layers; the list is in operators.cpp.
namespace resnet::convert::onnx {

/// Converts the current node of a network.
using Handler = void (*)(Network&);

struct Operator {
  std::string_view op;
  Handler handler;
  std::size_t inputs;  ///< at most, in any version
  std::string_view
      attributes;  ///< that any version from 7 on defines, also those that change nothing here; separated by spaces

  bool defines(std::string_view attribute) const;
};

/// An operator, or null.
const Operator* find_operator(std::string_view op);

// windows.cpp
void convert_conv(Network& net);
void convert_max_pool(Network& net);
void convert_average_pool(Network& net);
void convert_global_average_pool(Network& net);
void convert_pad(Network& net);

// dense.cpp
void convert_gemm(Network& net);
void convert_matmul(Network& net);

// elementwise.cpp
void convert_batch_norm(Network& net);
void convert_add(Network& net);
void convert_sub(Network& net);
void convert_mul(Network& net);
void convert_div(Network& net);
void convert_clip(Network& net);
void convert_leaky_relu(Network& net);
void convert_hard_sigmoid(Network& net);
void convert_hard_swish(Network& net);
void convert_softmax(Network& net);

// axes.cpp
void convert_flatten(Network& net);
void convert_reshape(Network& net);
void convert_transpose(Network& net);
void convert_squeeze(Network& net);
void convert_unsqueeze(Network& net);
void convert_reduce_mean(Network& net);
void convert_expand(Network& net);

// constants.cpp
/// A node whose inputs are all constants or integers.
void fold(Network& net);
void convert_constant(Network& net);
void convert_shape(Network& net);

}  // namespace resnet::convert::onnx
