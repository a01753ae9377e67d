#include "tools/convert/golden_check.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
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

Array read_array(const std::string& name) {
  const tools::NpyReader reader(golden_path(name));
  Array array{reader.header().shape, std::vector<float>(static_cast<std::size_t>(reader.header().elements()))};
  reader.read_rows(0, reader.rows(), array.values);
  return array;
}

}  // namespace

std::string golden_path(const std::string& name) { return RESNET_SOURCE_DIR "/tests/golden/" + name; }

void expect_golden(const Golden& golden) {
  const ScratchFolder folder;
  const std::string path = folder / "net.rne";
  const std::string command = "cd " RESNET_SOURCE_DIR "/tests/golden && " RESNET_BIN_DIR "/resnet_convert --quiet " +
                              golden.source + " -o " + path;
  ASSERT_EQ(std::system(command.c_str()), 0) << golden.source;

  const Array x = read_array(golden.x), y = read_array(golden.y);
  ASSERT_EQ(x.shape.size(), 4u);
  const bool nchw = golden.layout == Layout::nchw;
  const std::int64_t n = x.shape[0], h = x.shape[nchw ? 2 : 1], w = x.shape[nchw ? 3 : 2], c = x.shape[nchw ? 1 : 3];
  ASSERT_EQ(y.shape.at(0), n);
  const auto outputs = static_cast<std::int64_t>(y.values.size()) / n;
  const Model model = Model::load(path);
  for (const char* device : {"reference", "cpu"}) {
    SessionOptions options;
    options.device = device;
    Session session(model, options);
    std::vector<float> result(y.values.size());
    session.run({x.values.data(), n, h, w, c, DType::f32, golden.layout}, {result.data(), n, 1, 1, outputs});
    EXPECT_LE(relative_l2(result, y.values), golden.relative_l2) << golden.source << " on " << device;
  }
}

}  // namespace resnet::test
