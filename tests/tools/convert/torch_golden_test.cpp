// Files that PyTorch wrote, converted and run: the logits are those that PyTorch computed (tests/golden/torch/make.py).
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

std::string golden(const std::string& name) { return RESNET_SOURCE_DIR "/tests/golden/torch/" + name; }

Array read_array(const std::string& path) {
  const tools::NpyReader reader(path);
  Array array{reader.header().shape, std::vector<float>(static_cast<std::size_t>(reader.header().elements()))};
  reader.read_rows(0, reader.rows(), array.values);
  return array;
}

class TorchGolden : public testing::TestWithParam<const char*> {};

TEST_P(TorchGolden, LogitsAreThoseOfPyTorch) {
  const std::string net = GetParam();
  const ScratchFolder folder;
  const std::string path = folder / "net.rne";
  const std::string command = RESNET_BIN_DIR "/resnet_convert --quiet " + golden(net + ".pth") + " -o " + path;
  ASSERT_EQ(std::system(command.c_str()), 0);

  const Array x = read_array(golden("x.npy")), y = read_array(golden(net + ".y.npy"));
  ASSERT_EQ(x.shape.size(), 4u);
  ASSERT_EQ(y.shape, (std::vector<std::int64_t>{x.shape[0], 10}));
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

INSTANTIATE_TEST_SUITE_P(Nets, TorchGolden, testing::Values("basic", "bottleneck"),
                         [](const auto& net) { return std::string(net.param); });

}  // namespace
}  // namespace resnet::test
