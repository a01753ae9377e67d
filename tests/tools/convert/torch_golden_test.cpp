// Files that PyTorch wrote, converted and run: the logits are those that PyTorch computed (tests/golden/torch/make.py).
#include <gtest/gtest.h>

#include <string>

#include "tools/convert/golden_check.hpp"

namespace resnet::test {
namespace {

class TorchGolden : public testing::TestWithParam<const char*> {};

TEST_P(TorchGolden, LogitsAreThoseOfPyTorch) {
  const std::string net = std::string("torch/") + GetParam();
  expect_golden({net + ".pth", "torch/x.npy", net + ".y.npy"});
}

INSTANTIATE_TEST_SUITE_P(Nets, TorchGolden, testing::Values("basic", "bottleneck"),
                         [](const auto& net) { return std::string(net.param); });

}  // namespace
}  // namespace resnet::test
