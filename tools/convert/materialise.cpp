#include "convert/materialise.hpp"

#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "base/dtype.hpp"

namespace resnet::convert {
namespace {

/// All-ones exponent: NaN or infinity, without leaving the integer unit.
bool is_finite(float value) { return std::isfinite(value); }
bool is_finite_f16(std::uint16_t bits) { return (bits & 0x7C00u) != 0x7C00u; }
bool is_finite_bf16(std::uint16_t bits) { return (bits & 0x7F80u) != 0x7F80u; }

/// Visits a view row-major: `copy(out_index, in_index)` per run of the last axis.
template <class Copy>
void for_each_row(const TensorShape& shape, const std::vector<std::int64_t>& strides, std::int64_t offset, Copy copy) {
  const std::size_t outer = shape.empty() ? 0 : shape.size() - 1;
  std::int64_t rows = 1;
  for (std::size_t i = 0; i < outer; ++i) rows *= shape[i];
  const std::int64_t length = shape.empty() ? 1 : shape.back();
  std::vector<std::int64_t> index(outer, 0);
  std::int64_t in = offset;
  for (std::int64_t row = 0; row < rows && length > 0; ++row) {
    copy(row * length, in, length);
    for (std::size_t i = outer; i-- > 0;) {
      in += strides[i];
      if (++index[i] < shape[i]) break;
      in -= strides[i] * shape[i];
      index[i] = 0;
    }
  }
}

[[noreturn]] void nonfinite(const SourceTensor& tensor, const TensorShape& shape, WeightOrder order,
                            std::int64_t flat) {
  std::string place;
  for (std::size_t i = shape.size(); i-- > 0;) {
    place = std::to_string(flat % shape[i]) + (place.empty() ? "" : ", " + place);
    flat /= shape[i];
  }
  fail(ErrorCode::nonfinite_weight,
       "element [" + place + "]" + (order == WeightOrder::oihw_to_krsc ? " (out, row, column, in)" : "") +
           " is NaN or infinite",
       tensor.name, "the training diverged or the file is damaged; take another checkpoint");
}

/// In and Out are bit types of In's size and Out's size; `convert` maps, `finite` tests the result.
template <class In, class Out, class Convert, class Finite>
std::vector<std::byte> copy_view(const SourceTensor& tensor, const TensorShape& shape,
                                 const std::vector<std::int64_t>& strides, std::span<const std::byte> storage,
                                 WeightOrder order, Convert convert, Finite finite) {
  const auto count = static_cast<std::size_t>(element_count(shape, tensor.name));
  std::vector<std::byte> bytes(count * sizeof(Out));
  const std::int64_t step = shape.empty() ? 1 : strides.back();
  std::int64_t bad = -1;
  for_each_row(shape, strides, tensor.offset, [&](std::int64_t out, std::int64_t in, std::int64_t length) {
    std::byte* to = bytes.data() + static_cast<std::size_t>(out) * sizeof(Out);
    const std::byte* from = storage.data() + static_cast<std::size_t>(in) * sizeof(In);
    for (std::int64_t i = 0; i < length; ++i) {
      In value;
      std::memcpy(&value, from + static_cast<std::size_t>(i * step) * sizeof(In), sizeof(In));
      const Out converted = convert(value);
      if (!finite(converted) && bad < 0) bad = out + i;
      std::memcpy(to + static_cast<std::size_t>(i) * sizeof(Out), &converted, sizeof(Out));
    }
  });
  if (bad >= 0) nonfinite(tensor, shape, order, bad);
  return bytes;
}

template <class T>
std::vector<T> reorder(const std::vector<T>& oihw, WeightOrder order) {
  if (order == WeightOrder::keep || oihw.size() != 4) return oihw;
  return {oihw[0], oihw[2], oihw[3], oihw[1]};
}

}  // namespace

float stored_value(DType dtype, std::span<const std::byte> bytes, std::size_t i) noexcept {
  if (dtype == DType::f32) {
    float value;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, bytes.data() + i * sizeof bits, sizeof bits);
  return dtype == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

TensorShape stored_shape(const TensorShape& shape, WeightOrder order) { return reorder(shape, order); }

namespace {

[[noreturn]] void no_weight(const SourceTensor& tensor) {
  std::string type(to_string(tensor.type));
  if (tensor.type == SourceType::other) type = tensor.other_type.empty() ? "another type" : tensor.other_type;
  fail(ErrorCode::bad_dtype, "holds " + type + ", weights are F32, F16, BF16 or F64",
       tensor.key.empty() ? tensor.name : tensor.key, "convert a checkpoint that is not quantised");
}

bool is_floating(SourceType type) {
  return type == SourceType::f32 || type == SourceType::f64 || type == SourceType::f16 || type == SourceType::bf16;
}

}  // namespace

Materialised materialise(const SourceTensor& tensor, std::span<const std::byte> storage, WeightOrder order) {
  if (!is_floating(tensor.type)) no_weight(tensor);
  check_view(tensor, static_cast<std::int64_t>(storage.size()) / size_of(tensor.type));
  const TensorShape shape = reorder(tensor.shape, order);
  const auto strides = reorder(tensor.strides, order);
  const auto same = [](auto value) { return value; };
  switch (tensor.type) {
    case SourceType::f32:
      return {DType::f32, shape, copy_view<float, float>(tensor, shape, strides, storage, order, same, is_finite)};
    case SourceType::f64:
      return {DType::f32, shape,
              copy_view<double, float>(
                  tensor, shape, strides, storage, order, [](double value) { return static_cast<float>(value); },
                  is_finite)};
    case SourceType::f16:
      return {DType::f16, shape,
              copy_view<std::uint16_t, std::uint16_t>(tensor, shape, strides, storage, order, same, is_finite_f16)};
    case SourceType::bf16:
      return {DType::bf16, shape,
              copy_view<std::uint16_t, std::uint16_t>(tensor, shape, strides, storage, order, same, is_finite_bf16)};
    default:
      no_weight(tensor);
  }
}

StorageCache::StorageCache(const StorageReader& reader, std::span<const SourceTensor* const> wanted) : reader_(reader) {
  for (const SourceTensor* tensor : wanted) ++uses_[tensor->storage];
}

std::shared_ptr<const std::vector<std::byte>> StorageCache::take(const SourceTensor& tensor) {
  auto& kept = kept_[tensor.storage];
  if (!kept) kept = std::make_shared<const std::vector<std::byte>>(reader_.read(tensor.storage));
  auto result = kept;
  if (--uses_[tensor.storage] == 0) kept.reset();
  return result;
}

}  // namespace resnet::convert
