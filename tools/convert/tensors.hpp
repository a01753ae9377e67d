#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ops/op.hpp"

namespace resnet::convert {

/// Element types that foreign weight files hold. `other` types can be listed, not converted.
enum class SourceType : std::uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean, other };

std::string_view to_string(SourceType type) noexcept;
/// Bytes per element; 0 for `other`.
std::int64_t size_of(SourceType type) noexcept;

/// "64x3x7x7", "scalar"
std::string to_string(const TensorShape& shape);

/// Most tensors that a network may have, so that what is done per key stays far below a tenth of a second: a
/// ResNet-1202 has 7,200.
inline constexpr std::size_t max_tensors = 10'000;
/// @throws Error limit_exceeded
void check_tensor_count(std::size_t count);

/// A named view into a storage of a foreign file. Checked: every element lies inside the storage, and no two indices
/// need more elements than the storage has.
struct SourceTensor {
  std::string name;  ///< after prefixes and --map
  SourceType type = SourceType::f32;
  std::string_view other_type = {};   ///< the format's name of an `other` type, of static storage; or empty
  TensorShape shape;                  ///< the source's own order (OIHW for a PyTorch convolution)
  std::vector<std::int64_t> strides;  ///< in elements, >= 0, one per dimension
  std::int64_t offset = 0;            ///< in elements
  std::size_t storage = 0;            ///< for StorageReader
  std::string key;                    ///< the name in the file
};

/// @throws Error import_failed or overflow when the view leaves a storage of `storage_elements` elements, has a
/// negative size, stride or offset, more than 8 dimensions, or repeats elements
void check_view(const SourceTensor& tensor, std::int64_t storage_elements);

/// Tensors by name; points into the span that it was made from.
class TensorIndex {
 public:
  explicit TensorIndex(std::span<const SourceTensor> tensors);
  /// The tensor, or null when it is missing (or does not have `rank` dimensions, where given).
  const SourceTensor* find(std::string_view name) const;
  const SourceTensor* find(std::string_view name, std::size_t rank) const;
  std::span<const SourceTensor> all() const { return tensors_; }

 private:
  std::span<const SourceTensor> tensors_;
  std::unordered_map<std::string_view, const SourceTensor*> by_name_;
};

/// Yields the bytes of a storage, read and checked when asked for.
class StorageReader {
 public:
  virtual ~StorageReader() = default;
  virtual std::vector<std::byte> read(std::size_t storage) const = 0;
};

/// Row-major strides in elements. @throws Error overflow, import_failed for a negative size
std::vector<std::int64_t> row_major_strides(const TensorShape& shape, std::string_view name);
/// Number of elements. @throws Error overflow, import_failed for a negative size
std::int64_t element_count(const TensorShape& shape, std::string_view name);

}  // namespace resnet::convert
