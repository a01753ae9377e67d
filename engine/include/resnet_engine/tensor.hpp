#pragma once

#include <cstddef>
#include <cstdint>

namespace resnet {

/// Element types of tensors, in memory and in the file.
enum class DType : std::uint8_t { f32, f16, bf16, u8, i8, i32, i64, f64 };

/// Order of the four axes in memory, slowest first.
enum class Layout : std::uint8_t { nhwc, nchw };

/// Where a tensor's memory lives.
enum class MemoryKind : std::uint8_t { host, device };

/// A dense 4-D tensor that the caller owns; the library never keeps the pointer past the call.
///
/// A matrix of N rows and K columns is {n = N, h = 1, w = 1, c = K} in either layout.
template <class Pointer>
struct BasicTensorView {
  Pointer data = nullptr;
  std::int64_t n = 0, h = 0, w = 0, c = 0;
  DType dtype = DType::f32;
  Layout layout = Layout::nhwc;
  MemoryKind memory = MemoryKind::host;

  std::int64_t elements() const noexcept { return n * h * w * c; }
};

using TensorView = BasicTensorView<void*>;
using ConstTensorView = BasicTensorView<const void*>;

}  // namespace resnet
