#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "convert/tensors.hpp"

namespace resnet::convert {

/// How a tensor's axes go into the model file.
enum class WeightOrder : std::uint8_t {
  keep,          ///< as in the source
  oihw_to_krsc,  ///< a convolution's weights
};

/// A tensor as the model file stores it: row-major, little endian, f32, f16 or bf16.
struct Materialised {
  DType dtype = DType::f32;
  TensorShape shape;
  std::vector<std::byte> bytes;
};

/// Copies a view out of its storage: strides resolved, axes reordered, f64 rounded to f32, f16 and bf16 kept.
/// @throws Error bad_dtype for integers, nonfinite_weight that names the first NaN or infinite element
Materialised materialise(const SourceTensor& tensor, std::span<const std::byte> storage, WeightOrder order);

/// Element `i` of what the model file stores.
float stored_value(DType dtype, std::span<const std::byte> bytes, std::size_t i) noexcept;

/// The shape that materialise() yields.
TensorShape stored_shape(const TensorShape& shape, WeightOrder order);

/// Reads storages for a known list of tensors; one that several of them share stays in memory until the last is done.
class StorageCache {
 public:
  StorageCache(const StorageReader& reader, std::span<const SourceTensor* const> wanted);
  /// Call once per wanted tensor.
  std::shared_ptr<const std::vector<std::byte>> take(const SourceTensor& tensor);

 private:
  const StorageReader& reader_;
  std::map<std::size_t, std::size_t> uses_;  ///< storage -> tensors still to come
  std::map<std::size_t, std::shared_ptr<const std::vector<std::byte>>> kept_;
};

}  // namespace resnet::convert
