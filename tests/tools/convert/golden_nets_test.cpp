// Files that frameworks wrote, converted and run: the logits are those that the framework computed
// (tests/golden/<kind>/make.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "common/npy.hpp"
#include "resnet_engine/model.hpp"
#include "resnet_engine/session.hpp"
#include "support/relative_l2.hpp"
#include "support/scratch_folder.hpp"

namespace resnet::test {
namespace {

struct Array {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

std::string golden(const std::string& name) { return RESNET_SOURCE_DIR "/tests/golden/" + name; }

struct GoldenNet {
  std::string name;     ///< tests/golden/<name>.y.npy
  std::string source;   ///< tests/golden/<source>
  std::string options;  ///< of resnet_convert
  std::string input;    ///< beside the logits
};
void PrintTo(const GoldenNet& net, std::ostream* out) { *out << net.source << ' ' << net.options; }

std::vector<GoldenNet> golden_nets() {
  std::vector<GoldenNet> nets;
  for (const char* name : {"torch/basic", "torch/bottleneck"})
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

Array read_array(const std::string& path) {
  const tools::NpyReader reader(path);
  Array array{reader.header().shape, std::vector<float>(static_cast<std::size_t>(reader.header().elements()))};
  reader.read_rows(0, reader.rows(), array.values);
  return array;
}

class GoldenNets : public testing::TestWithParam<GoldenNet> {};

TEST_P(GoldenNets, LogitsAreThoseOfTheFramework) {
  const GoldenNet& net = GetParam();
  const ScratchFolder folder;
  const std::string path = folder / "net.rne";
  const std::string command =
      RESNET_BIN_DIR "/resnet_convert --quiet " + golden(net.source) + ' ' + net.options + " -o " + path;
  ASSERT_EQ(std::system(command.c_str()), 0);

  const Array x = read_array(golden(net.name.substr(0, net.name.find('/') + 1) + net.input)),
              y = read_array(golden(net.name + ".y.npy"));
  ASSERT_EQ(x.shape.size(), 4u);
  ASSERT_EQ(y.shape.size(), 2u);
  ASSERT_EQ(y.shape[0], x.shape[0]);
  const Model model = Model::load(path);
  for (const char* device : {"reference", "cpu"}) {
    SessionOptions options;
    options.device = device;
    Session session(model, options);
    std::vector<float> logits(y.values.size());
    session.run({x.values.data(), x.shape[0], x.shape[2], x.shape[3], x.shape[1], DType::f32, Layout::nchw},
                {logits.data(), x.shape[0], 1, 1, y.shape[1]});
    EXPECT_LE(relative_l2(logits, y.values), 1e-5) << device;
  }
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
