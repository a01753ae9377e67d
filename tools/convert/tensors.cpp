#include "convert/tensors.hpp"

#include "base/check.hpp"
#include "base/checked.hpp"

namespace resnet::convert {

std::string_view to_string(SourceType type) noexcept {
  switch (type) {
    case SourceType::f64:
      return "f64";
    case SourceType::f32:
      return "f32";
    case SourceType::f16:
      return "f16";
    case SourceType::bf16:
      return "bf16";
    case SourceType::i64:
      return "i64";
    case SourceType::i32:
      return "i32";
    case SourceType::i16:
      return "i16";
    case SourceType::i8:
      return "i8";
    case SourceType::u8:
      return "u8";
    case SourceType::boolean:
      return "bool";
    case SourceType::other:
      return "other";
  }
  return "other";
}

std::int64_t size_of(SourceType type) noexcept {
  switch (type) {
    case SourceType::f64:
    case SourceType::i64:
      return 8;
    case SourceType::f32:
    case SourceType::i32:
      return 4;
    case SourceType::f16:
    case SourceType::bf16:
    case SourceType::i16:
      return 2;
    case SourceType::i8:
    case SourceType::u8:
    case SourceType::boolean:
      return 1;
    case SourceType::other:
      return 0;
  }
  return 0;
}

std::string to_string(const TensorShape& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

void check_tensor_count(std::size_t count) {
  if (count <= max_tensors) return;
  fail(ErrorCode::limit_exceeded,
       "holds " + std::to_string(count) + " tensors, the limit is " + std::to_string(max_tensors), "",
       "save the network's weights alone: a ResNet of 1202 layers has 7,200 tensors");
}

std::int64_t element_count(const TensorShape& shape, std::string_view name) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0) fail(ErrorCode::import_failed, "negative size " + std::to_string(size), name);
    count = checked_mul(count, size, name);
  }
  return count;
}

std::vector<std::int64_t> row_major_strides(const TensorShape& shape, std::string_view name) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] < 0) fail(ErrorCode::import_failed, "negative size " + std::to_string(shape[i]), name);
    strides[i] = stride;
    stride = checked_mul(stride, shape[i], name);
  }
  return strides;
}

TensorIndex::TensorIndex(std::span<const SourceTensor> tensors) : tensors_(tensors) {
  for (const SourceTensor& tensor : tensors) by_name_.emplace(tensor.name, &tensor);
}

const SourceTensor* TensorIndex::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

const SourceTensor* TensorIndex::find(std::string_view name, std::size_t rank) const {
  const SourceTensor* tensor = find(name);
  return tensor == nullptr || tensor->shape.size() != rank ? nullptr : tensor;
}

void check_view(const SourceTensor& tensor, std::int64_t storage_elements) {
  const std::string& name = tensor.name;
  if (tensor.shape.size() > 8) {
    fail(ErrorCode::import_failed, std::to_string(tensor.shape.size()) + " dimensions, 8 at most are read", name);
  }
  if (tensor.strides.size() != tensor.shape.size()) {
    fail(ErrorCode::import_failed,
         std::to_string(tensor.shape.size()) + " sizes but " + std::to_string(tensor.strides.size()) + " strides",
         name);
  }
  if (tensor.offset < 0) {
    fail(ErrorCode::import_failed, "negative storage offset " + std::to_string(tensor.offset), name);
  }
  const std::int64_t count = element_count(tensor.shape, name);
  std::int64_t last = tensor.offset;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.strides[i] < 0) {
      fail(ErrorCode::import_failed, "negative stride " + std::to_string(tensor.strides[i]), name);
    }
    if (count > 0) last = checked_add(last, checked_mul(tensor.shape[i] - 1, tensor.strides[i], name), name);
  }
  if (count > 0 && last >= storage_elements) {
    fail(ErrorCode::import_failed,
         "the view reaches element " + std::to_string(last) + " of a storage with " + std::to_string(storage_elements),
         name, "the file is damaged or was tampered with");
  }
  // A stride of 0 would turn a few bytes into any number of gigabytes.
  if (count > storage_elements) {
    fail(ErrorCode::import_failed,
         "the view repeats elements: " + std::to_string(count) + " out of a storage with " +
             std::to_string(storage_elements),
         name, "save tensors that were made contiguous");
  }
}

}  // namespace resnet::convert
