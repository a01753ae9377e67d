// Files of released format versions. They are never written again and load for ever.
#include <gtest/gtest.h>

#include "base/json.hpp"
#include "golden/golden_model.hpp"
#include "support/scratch_folder.hpp"
#include "unit/model/model_bytes.hpp"

namespace resnet::testing {
namespace {

std::string golden_path(const std::string& name) { return std::string(RESNET_SOURCE_DIR "/tests/golden/") + name; }

Json summary(const std::string& name) {
  const Bytes text = from_text(test::read_text(golden_path(name)));
  return parse_json({reinterpret_cast<const char*>(text.data()), text.size()}, name);
}

class GoldenV1 : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Files, GoldenV1, ::testing::Values("f32", "f16", "bf16"),
                         [](const auto& test) { return test.param; });

TEST_P(GoldenV1, LoadsWithTheValuesOfItsSummary) {
  const std::string stem = std::string("v1/tiny_") + GetParam();
  const auto model = ModelFile::open(golden_path(stem + ".rne"));
  const Json expected = summary(stem + ".json");
  const ModelHeader& header = model->header();
  EXPECT_EQ(header.version, 1);
  ASSERT_EQ(header.labels.size(), expected.at("labels").as_array().size());
  for (std::size_t i = 0; i < header.labels.size(); ++i) {
    EXPECT_EQ(header.labels[i], expected.at("labels").as_array()[i].as_string());
  }
  EXPECT_EQ(header.preprocess_json, expected.at("preprocess").as_string());
  EXPECT_EQ(header.provenance.at("source"), "golden");
  const Json::Object& tensors = expected.at("tensors").as_object();
  ASSERT_EQ(header.tensors.size(), tensors.size());
  for (const auto& [name, entry] : tensors) {
    const StoredTensor& tensor = model->tensor(name);
    EXPECT_EQ(to_string(tensor.dtype), entry.at("dtype").as_string());
    const Json::Array& values = entry.at("values").as_array();
    std::vector<float> read(values.size());
    model->read_f32(tensor, read);
    for (std::size_t i = 0; i < read.size(); ++i)
      EXPECT_EQ(static_cast<double>(read[i]), values[i].as_double()) << name << ' ' << i;
  }
}

TEST_P(GoldenV1, HasTheLayersThatWereWritten) {
  const auto model = ModelFile::open(golden_path(std::string("v1/tiny_") + GetParam() + ".rne"));
  const Graph& graph = model->header().graph;
  ASSERT_EQ(graph.size(), 6);
  const char* names[] = {"input", "conv1", "bn1", "relu", "avgpool", "fc"};
  const char* ops[] = {"input", "conv2d", "batch_norm", "relu", "global_avg_pool", "dense"};
  for (NodeId id = 0; id < graph.size(); ++id) {
    EXPECT_EQ(graph.node(id).name, names[id]);
    EXPECT_EQ(graph.node(id).op->name, ops[id]);
  }
  EXPECT_EQ(graph.output, 5);
  EXPECT_EQ(graph.input_dims(), (Dims{1, 4, 4, 3}));
  EXPECT_EQ(ints_attr(graph.node(1).attrs, "pads"), std::vector<std::int64_t>({1, 1, 1, 1}));
  EXPECT_EQ(float_attr(graph.node(2).attrs, "eps"), 0.0009765625);
}

TEST_P(GoldenV1, IsWhatTheWriterOfVersion1StillWrites) {
  const std::string dtype = GetParam();
  const GoldenModel model(dtype == "f32" ? DType::f32 : dtype == "f16" ? DType::f16 : DType::bf16);
  EXPECT_EQ(model.file(), from_text(test::read_text(golden_path("v1/tiny_" + dtype + ".rne"))));
}

}  // namespace
}  // namespace resnet::testing
