// Gemm and MatMul.
#include <algorithm>

#include "convert/importers/onnx/operators.hpp"

namespace resnet::convert::onnx {
namespace {

constexpr std::int64_t max_features = 1 << 20;  // of a bias that is rewritten

/// Rows of features, N x C.
const Value& rows(const Network& net) {
  const Value& x = net.activation(0);
  if (x.axes != Axes{Axis::n, Axis::c}) {
    net.reject("its input has " + std::to_string(x.axes.size()) + " axes, rows of features N x C are expected");
  }
  return x;
}

/// The weights as (out, in).
SourceTensor matrix(const Network& net, bool out_first) {
  SourceTensor view = net.constant(1).view;
  if (view.shape.size() != 2) net.reject("its weights are " + to_string(view.shape) + ", a matrix is expected");
  if (!out_first) {
    std::swap(view.shape[0], view.shape[1]);
    std::swap(view.strides[0], view.strides[1]);
  }
  return view;
}

}  // namespace

void convert_gemm(Network& net) {
  const Value& x = rows(net);
  if (net.flag("transA", false)) net.reject("transposes its input (transA)");
  const double alpha = net.number("alpha", 1), beta = net.number("beta", 1);
  const SourceTensor weight = matrix(net, net.flag("transB", false));
  const std::int64_t classes = weight.shape[0];
  std::vector<Weight> weights = {{"weight", weight}};
  std::vector<double> shift;
  if (net.given(2)) {
    SourceTensor bias = net.constant(2).view;
    const std::int64_t values = element_count(bias.shape, bias.name);
    const bool row = !bias.shape.empty() && bias.shape.back() == values;
    if (!row && values != 1) net.reject("its bias is " + to_string(bias.shape) + ", one value per output is expected");
    if (row && values == classes && alpha == 1 && beta == 1) {
      bias.strides = {bias.strides.back()};
      bias.shape = {classes};
      weights.emplace_back("bias", bias);
    } else {
      shift = net.numbers(net.constant(2), max_features);
      if (shift.empty() || (values != classes && values != 1)) {
        net.reject("its bias is " + to_string(bias.shape) + ", its outputs are " + std::to_string(classes));
      }
      shift.resize(static_cast<std::size_t>(std::min(classes, max_features)), shift.front());
      for (double& value : shift) value *= beta;
    }
  }
  Value y = net.add("dense", {&x}, {}, weights);
  if (alpha != 1 || !shift.empty()) {
    if (y.dims.c > max_features) net.reject("has too many outputs for alpha and beta");
    const auto count = static_cast<std::size_t>(y.dims.c);
    Affine affine{std::vector<double>(count, alpha), std::move(shift)};
    affine.shift.resize(count, 0.0);
    y = net.add_affine(y, false, affine, ".scale");
  }
  net.set(std::move(y));
}

void convert_matmul(Network& net) {
  const Value& x = rows(net);
  net.set(net.add("dense", {&x}, {}, {{"weight", matrix(net, false)}}));
}

}  // namespace resnet::convert::onnx
