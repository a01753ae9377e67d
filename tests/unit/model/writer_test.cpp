#include <gtest/gtest.h>

#include <algorithm>
#include <clocale>
#include <limits>
#include <locale>

#include "golden/golden_model.hpp"
#include "model/graph_json.hpp"
#include "unit/model/model_bytes.hpp"

namespace resnet::testing {
namespace {

/// A model to write from what a file holds; `file` must outlive it.
ModelToWrite to_write(const ModelHeader& header, const Bytes& file) {
  LayerList list = parse_layers(header.metadata.at("resnet_engine.graph"), "graph");
  ModelToWrite model{std::move(list.layers), std::move(list.output), {},
                     header.labels,          header.preprocess_json, header.provenance};
  for (const StoredTensor& tensor : header.tensors) {
    model.tensors.push_back(
        {tensor.name, tensor.dtype, tensor.shape, std::span(file).subspan(tensor.offset, tensor.bytes)});
  }
  return model;
}

TEST(Writer, KeepsEveryBitOfTheTensors) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    const GoldenModel model(dtype);
    const Bytes file = model.file();
    const ModelHeader header = parse_header(file, file.size(), "test");
    ASSERT_EQ(header.tensors.size(), model.tensors().size());
    for (std::size_t i = 0; i < header.tensors.size(); ++i) {
      const StoredTensor& stored = header.tensors[i];
      const GoldenModel::Tensor& given = model.tensors()[i];
      EXPECT_EQ(stored.name, given.name);
      EXPECT_EQ(stored.dtype, given.dtype);
      EXPECT_EQ(stored.shape, given.shape);
      EXPECT_TRUE(std::ranges::equal(std::span(file).subspan(stored.offset, stored.bytes), given.bytes)) << given.name;
    }
  }
}

TEST(Writer, KeepsLabelsPreprocessAndProvenance) {
  const GoldenModel model(DType::f32);
  const Bytes file = model.file();
  const ModelHeader header = parse_header(file, file.size(), "test");
  EXPECT_EQ(header.version, 1);
  EXPECT_EQ(header.labels, model.labels);
  EXPECT_EQ(header.preprocess_json, model.preprocess_json);
  EXPECT_EQ(header.provenance, model.provenance);
}

TEST(Writer, WritesTheSameBytesForWhatItRead) {
  const Bytes first = GoldenModel(DType::f16).file();
  const Bytes second = serialise(to_write(parse_header(first, first.size(), "test"), first));
  EXPECT_EQ(second, first);
}

/// Digits grouped by apostrophes and a decimal comma, in C++; in C where a German locale is installed.
class ForeignLocale {
 public:
  ForeignLocale() { std::setlocale(LC_ALL, "de_DE.UTF-8"); }
  ~ForeignLocale() {
    std::locale::global(before_);
    std::setlocale(LC_ALL, "C");
  }

 private:
  struct Digits : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '\''; }
    std::string do_grouping() const override { return "\3"; }
  };
  std::locale before_ = std::locale::global(std::locale(std::locale::classic(), new Digits));
};

TEST(Writer, WritesAndReadsTheSameInEveryLocale) {
  const Bytes expected = GoldenModel(DType::f32).file();
  const ForeignLocale foreign;
  const Bytes file = GoldenModel(DType::f32).file();
  EXPECT_EQ(file, expected);
  EXPECT_EQ(float_attr(parse_header(file, file.size(), "test").graph.node(2).attrs, "eps"), 0.0009765625);
}

TEST(Writer, AlignsTheDataTo64Bytes) {
  GoldenModel model(DType::f32);
  for (int extra = 0; extra < 70; ++extra) {
    model.provenance["pad"] += 'x';
    EXPECT_EQ((8 + header_of(model.file()).size()) % 64, 0u);
  }
}

TEST(Writer, LeavesOutWhatTheModelDoesNotHave) {
  GoldenModel model(DType::f32);
  model.labels.clear();
  model.preprocess_json.clear();
  model.provenance.clear();
  const Bytes file = model.file();
  const ModelHeader header = parse_header(file, file.size(), "test");
  EXPECT_EQ(header.metadata.size(), 3u) << "version, graph and checksums";
  EXPECT_TRUE(header.labels.empty() && header.preprocess_json.empty() && header.provenance.empty());
}

TEST(Writer, RefusesBytesThatDoNotFitTheShape) {
  const GoldenModel model(DType::f32);
  ModelToWrite wrong = model.to_write();
  wrong.tensors[0].bytes = wrong.tensors[0].bytes.first(4);
  const Error error = error_of([&] { serialise(wrong); });
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  EXPECT_NE(std::string(error.what()).find("tensor 'conv1.weight'"), std::string::npos) << error.what();
}

TEST(Writer, RefusesWhatTheReaderWouldRefuse) {
  GoldenModel model(DType::f32);
  model.layers.back().op = "gelu";
  EXPECT_EQ(error_of([&] { model.file(); }).code(), ErrorCode::unknown_layer);
  GoldenModel labels(DType::f32);
  labels.labels.pop_back();
  EXPECT_EQ(error_of([&] { labels.file(); }).code(), ErrorCode::bad_header);
  GoldenModel eps(DType::f32);
  eps.layers[2].attrs["eps"] = std::numeric_limits<double>::infinity();
  EXPECT_EQ(error_of([&] { eps.file(); }).code(), ErrorCode::bad_attribute);
}

TEST(LayerList, KeepsTheTypeOfEveryAttribute) {
  LayerSpec layer{"x", "op", {"a", "b"}, {}, {{"weight", "w"}}};
  layer.attrs = {{"bool", true},
                 {"int", std::int64_t{2}},
                 {"double", 2.0},
                 {"tiny", 1e-300},
                 {"text", std::string("same")},
                 {"list", std::vector<std::int64_t>{1, -2}},
                 {"empty", std::vector<std::int64_t>{}}};
  const LayerList list = parse_layers(layers_to_json({layer}, "x"), "test");
  ASSERT_EQ(list.layers.size(), 1u);
  EXPECT_EQ(list.output, "x");
  EXPECT_EQ(list.layers[0].attrs, layer.attrs);
  EXPECT_EQ(list.layers[0].inputs, layer.inputs);
  EXPECT_EQ(list.layers[0].weights, layer.weights);
}

}  // namespace
}  // namespace resnet::testing
