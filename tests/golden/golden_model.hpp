#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "model/model_file.hpp"

namespace resnet::testing {

/// A tiny classifier with every kind of tensor: conv 3x3 (3 channels) -> batch norm -> relu -> global average pool ->
/// dense (2 classes) on 4 x 4 x 3 inputs. All values are small dyadic fractions, exact in f32, f16 and bf16.
/// It is what tests/golden/v1 was written from; those files must load for ever, so this model never changes.
class GoldenModel {
 public:
  struct Tensor {
    std::string name;
    DType dtype;
    TensorShape shape;
    std::vector<float> values;
    std::vector<std::byte> bytes;  ///< `values` as `dtype`
  };

  explicit GoldenModel(DType dtype);
  /// Points into this object.
  ModelToWrite to_write() const;
  std::vector<std::byte> file() const { return serialise(to_write()); }
  const std::vector<Tensor>& tensors() const { return tensors_; }
  /// Replaces one value, as its bit pattern of the model's element type.
  void set_bits(const std::string& tensor, std::size_t element, std::uint32_t bits);
  /// Names, shapes, element types and values as JSON, for readers in other languages.
  std::string summary_json() const;

  std::vector<LayerSpec> layers;
  std::string output = "fc";
  std::vector<std::string> labels;
  std::string preprocess_json;
  std::map<std::string, std::string> provenance;

 private:
  void add(const std::string& name, TensorShape shape, int seed, int lowest, int highest);

  DType dtype_;
  std::vector<Tensor> tensors_;
};

}  // namespace resnet::testing
