// Files that the exporters of PyTorch and TensorFlow wrote: the outputs are those of ONNX Runtime in fp32
// (tests/golden/onnx/make*.py).
#include <gtest/gtest.h>

#include <string>

#include "tools/convert/golden_check.hpp"

namespace resnet::test {
namespace {

class OnnxGolden : public testing::TestWithParam<const char*> {};

TEST_P(OnnxGolden, OutputsAreThoseOfOnnxRuntime) {
  const std::string file = std::string("onnx/") + GetParam();
  // Halves become floats without loss, and the expected output of the network of halves was computed in floats: the
  // same bound holds. (ONNX Runtime's own halves are 3e-4 away.)
  expect_golden({file + ".onnx", "onnx/x.npy", file + ".y.npy"});
}

INSTANTIATE_TEST_SUITE_P(Exports, OnnxGolden,
                         testing::Values("opset7", "opset9", "opset11", "opset13", "opset14_preact", "opset16_se",
                                         "opset17_eca", "opset18", "opset20_se", "opset23_half", "tf2onnx", "keras"),
                         [](const auto& name) { return std::string(name.param); });

TEST(OnnxGoldenExternalData, IsReadWithLeaveOnly) {
  expect_golden({"onnx/external.onnx --allow-external-data", "onnx/x.npy", "onnx/external.y.npy"});
}

}  // namespace
}  // namespace resnet::test
