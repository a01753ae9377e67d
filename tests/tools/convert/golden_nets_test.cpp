// Files that frameworks wrote, converted and run: the logits are those that the framework computed
// (tests/golden/<kind>/make.py).
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "tools/convert/golden_check.hpp"

namespace resnet::test {
namespace {

struct GoldenNet {
  std::string name;     ///< tests/golden/<name>.y.npy
  std::string source;   ///< tests/golden/<source>
  std::string options;  ///< of resnet_convert
  std::string input;    ///< beside the logits
};
void PrintTo(const GoldenNet& net, std::ostream* out) { *out << net.source << ' ' << net.options; }

std::vector<GoldenNet> golden_nets() {
  std::vector<GoldenNet> nets;
  for (const char* name : {"torch/basic", "torch/bottleneck", "torch/dead"})
    nets.push_back({name, std::string(name) + ".pth", "", "x.npy"});
  for (const char* name :
       {"cifar_basic", "cifar_bottleneck", "cifar_preact", "from_zero", "conv_x", "identity_downsample"}) {
    nets.push_back({std::string("tutorials/") + name, std::string("tutorials/") + name + ".safetensors", "", "x.npy"});
  }
  const auto timm = [&](const std::string& name, const std::string& options) {
    nets.push_back({"timm/" + name, "timm/" + name + ".safetensors", options, "x.npy"});
  };
  for (const char* name :
       {"d_se", "t", "s", "resnext_d", "eca_t", "rs", "v2_basic", "v2_d", "first_senet", "first_senet_bottleneck"}) {
    timm(name, "");
  }
  for (const char* name : {"blur", "blur_basic"}) timm(name, "--arch resnet,aa=blur");
  nets.push_back({"timm/average", "timm/average.safetensors", "--arch resnet,aa=average", "even.npy"});
  nets.push_back({"timm/hub", "timm/hub", "", "x.npy"});
  for (const char* name : {"basic", "bottleneck", "bottleneck_v1", "first_stage"}) {  // bottleneck: two weight files
    nets.push_back({std::string("huggingface/") + name, std::string("huggingface/") + name, "", "x.npy"});
  }
  return nets;
}

class GoldenNets : public testing::TestWithParam<GoldenNet> {};

TEST_P(GoldenNets, LogitsAreThoseOfTheFramework) {
  const GoldenNet& net = GetParam();
  expect_golden(
      {net.source + ' ' + net.options, net.name.substr(0, net.name.find('/') + 1) + net.input, net.name + ".y.npy"});
}

INSTANTIATE_TEST_SUITE_P(All, GoldenNets, testing::ValuesIn(golden_nets()), [](const auto& net) {
  std::string name = net.param.name;
  for (char& c : name) {
    if (c == '/') c = '_';
  }
  return name;
});

}  // namespace
}  // namespace resnet::test
