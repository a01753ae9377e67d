#pragma once

#include "base/problem.hpp"
#include "kernels/device/memory.hpp"

namespace resnet::dev {

/// What happens to fp32 accumulators before they are stored, for every kernel:
/// y = sat(act(acc * scale[k] + shift[k] + residual * res_scale) * out_scale + zero_point).
/// A launch parameter; made by make_epilogue() of kernels/launch.hpp.
struct Epilogue {
  const float* scale = nullptr;    ///< [K], null = 1
  const float* shift = nullptr;    ///< [K], null = 0
  const void* residual = nullptr;  ///< the output's shape and type, null = 0
  void* y = nullptr;
  float res_scale = 1, out_scale = 1, zero_point = 0;
  float alpha = 0, beta = 0;
  ActivationKind activation = ActivationKind::none;
  DType out = DType::f32;  ///< f32, f16, bf16 (u8 without a residual)
  bool vectors = false;    ///< y and residual allow 16-byte accesses at element offsets that are multiples of 16 bytes
  bool channel_vectors = false;  ///< so do scale and shift
};

RESNET_DEVICE float activate(const Epilogue& epilogue, float x) {
  switch (epilogue.activation) {
    case ActivationKind::none:
      return x;
    case ActivationKind::relu:
      return x <= 0 ? 0.0f : x;
    case ActivationKind::relu6:
      return x <= 0 ? 0.0f : x > 6 ? 6.0f : x;
    case ActivationKind::leaky_relu:
      return x < 0 ? epilogue.alpha * x : x;
    case ActivationKind::sigmoid:
      return 1.0f / (1.0f + expf(-x));
    case ActivationKind::hard_sigmoid: {
      const float y = fmaf(epilogue.alpha, x, epilogue.beta);
      return y <= 0 ? 0.0f : y > 1 ? 1.0f : y;
    }
    case ActivationKind::silu:
      return x / (1.0f + expf(-x));
  }
  return x;
}

/// One accumulator of channel k, without a residual.
RESNET_DEVICE float finish(const Epilogue& epilogue, float acc, std::int64_t k) {
  const float scale = epilogue.scale ? epilogue.scale[k] : 1.0f;
  const float shift = epilogue.shift ? epilogue.shift[k] : 0.0f;
  return fmaf(activate(epilogue, fmaf(acc, scale, shift)), epilogue.out_scale, epilogue.zero_point);
}

namespace detail {

/// 16 bytes of elements as floats.
template <class T, int count>
RESNET_DEVICE void unpack(const Vec16& vector, float (&values)[count], int first) {
  constexpr int in_vector = 16 / static_cast<int>(sizeof(T));
  T elements[in_vector];
  memcpy(elements, &vector, 16);
  RESNET_UNROLL
  for (int i = 0; i < in_vector; ++i) values[first + i] = to_float(elements[i]);
}

template <class T, int count>
RESNET_DEVICE Vec16 pack(const float (&values)[count], int first) {
  constexpr int in_vector = 16 / static_cast<int>(sizeof(T));
  T elements[in_vector];
  RESNET_UNROLL
  for (int i = 0; i < in_vector; ++i) elements[i] = from_float<T>(values[first + i]);
  Vec16 vector;
  memcpy(&vector, elements, 16);
  return vector;
}

}  // namespace detail

/// `valid` elements (at most `count`) from `data + offset`; `vectors`: 16-byte accesses are legal where the offset is a
/// multiple of 16 bytes. Elements beyond `valid` become 0. Four 16-bit elements go as 8 bytes.
template <class T, int count>
RESNET_DEVICE void load_elements(float (&values)[count], const void* data, std::int64_t offset, int valid,
                                 bool vectors) {
  constexpr int in_vector = 16 / static_cast<int>(sizeof(T));
  const T* const source = static_cast<const T*>(data) + offset;
  if constexpr (count % in_vector == 0) {
    if (vectors && valid == count && offset % in_vector == 0) {
      RESNET_UNROLL
      for (int i = 0; i < count; i += in_vector) detail::unpack<T>(load16(source + i), values, i);
      return;
    }
  }
  if constexpr (count * sizeof(T) == 8) {
    if (vectors && valid == count && offset % count == 0) {
      const Words2 words = load8(source);
      T elements[count];
      memcpy(elements, &words, 8);
      RESNET_UNROLL
      for (int i = 0; i < count; ++i) values[i] = to_float(elements[i]);
      return;
    }
  }
  RESNET_UNROLL
  for (int i = 0; i < count; ++i) values[i] = i < valid ? to_float(source[i]) : 0.0f;
}

template <class T, int count>
RESNET_DEVICE void store_elements(const float (&values)[count], void* data, std::int64_t offset, int valid,
                                  bool vectors) {
  constexpr int in_vector = 16 / static_cast<int>(sizeof(T));
  T* const target = static_cast<T*>(data) + offset;
  if constexpr (count % in_vector == 0) {
    if (vectors && valid == count && offset % in_vector == 0) {
      RESNET_UNROLL
      for (int i = 0; i < count; i += in_vector) store16(target + i, detail::pack<T>(values, i));
      return;
    }
  }
  if constexpr (count * sizeof(T) == 8 && sizeof(T) == 2) {
    if (vectors && valid == count && offset % count == 0) {
      store8(target, pack2<T>(values[0], values[1]), pack2<T>(values[2], values[3]));
      return;
    }
  }
  RESNET_UNROLL
  for (int i = 0; i < count; ++i) {
    if (i < valid) target[i] = from_float<T>(values[i]);
  }
}

/// By a type that is known at run time: f32, f16, bf16 or u8.
template <int count>
RESNET_DEVICE void load_elements(float (&values)[count], DType type, const void* data, std::int64_t offset, int valid,
                                 bool vectors) {
  switch (type) {
    case DType::f16:
      return load_elements<half>(values, data, offset, valid, vectors);
    case DType::bf16:
      return load_elements<bfloat16>(values, data, offset, valid, vectors);
    case DType::u8:
      return load_elements<std::uint8_t>(values, data, offset, valid, vectors);
    default:
      return load_elements<float>(values, data, offset, valid, vectors);
  }
}

template <int count>
RESNET_DEVICE void store_elements(const float (&values)[count], DType type, void* data, std::int64_t offset, int valid,
                                  bool vectors) {
  switch (type) {
    case DType::f16:
      return store_elements<half>(values, data, offset, valid, vectors);
    case DType::bf16:
      return store_elements<bfloat16>(values, data, offset, valid, vectors);
    case DType::u8:
      return store_elements<std::uint8_t>(values, data, offset, valid, vectors);
    default:
      return store_elements<float>(values, data, offset, valid, vectors);
  }
}

/// Scale and shift of `count` consecutive channels, for kernels whose threads stay with their channels.
template <int count>
struct Channels {
  float scale[count], shift[count];
};

/// As vectors: neighbouring threads hold neighbouring channels, so single words would take one L1 access per thread.
template <int count>
RESNET_DEVICE Channels<count> load_channels(const Epilogue& epilogue, std::int64_t k, int valid) {
  Channels<count> channels;
  RESNET_UNROLL
  for (int i = 0; i < count; ++i) channels.scale[i] = 1, channels.shift[i] = 0;
  if (epilogue.scale) load_elements<float>(channels.scale, epilogue.scale, k, valid, epilogue.channel_vectors);
  if (epilogue.shift) load_elements<float>(channels.shift, epilogue.shift, k, valid, epilogue.channel_vectors);
  return channels;
}

/// `values` holds the residuals and receives the results. `common`: the caller knows that the activation is none or
/// relu, which spares the code of the others.
template <bool common, int count>
RESNET_DEVICE void finish(const Epilogue& epilogue, const Channels<count>& channels, const float (&acc)[count],
                          float (&values)[count]) {
  RESNET_UNROLL
  for (int i = 0; i < count; ++i)
    values[i] = fmaf(values[i], epilogue.res_scale, fmaf(acc[i], channels.scale[i], channels.shift[i]));
  if constexpr (common) {
    if (epilogue.activation == ActivationKind::relu) {
      RESNET_UNROLL
      for (int i = 0; i < count; ++i) values[i] = values[i] <= 0 ? 0.0f : values[i];
    }
  } else {
    RESNET_UNROLL
    for (int i = 0; i < count; ++i) values[i] = activate(epilogue, values[i]);
  }
  RESNET_UNROLL
  for (int i = 0; i < count; ++i) values[i] = fmaf(values[i], epilogue.out_scale, epilogue.zero_point);
}

/// `valid` (at most `count`) accumulators of the consecutive channels k ... at element `offset` of the output, through
/// the epilogue and into memory. The residual may be the output itself.
template <int count>
RESNET_DEVICE void finish_and_store(const Epilogue& epilogue, const Channels<count>& channels,
                                    const float (&acc)[count], std::int64_t offset, int valid) {
  float values[count] = {};
  if (epilogue.residual) load_elements(values, epilogue.out, epilogue.residual, offset, valid, epilogue.vectors);
  finish<false>(epilogue, channels, acc, values);
  store_elements(values, epilogue.out, epilogue.y, offset, valid, epilogue.vectors);
}

template <int count>
RESNET_DEVICE void finish_and_store(const Epilogue& epilogue, const float (&acc)[count], std::int64_t k,
                                    std::int64_t offset, int valid) {
  finish_and_store(epilogue, load_channels<count>(epilogue, k, valid), acc, offset, valid);
}

}  // namespace resnet::dev
