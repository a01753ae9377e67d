#pragma once

#include "kernels/device/memory.hpp"

/// Matrix unit of one warp. An operand row holds 32 bytes of K per step, whatever the type: 16 values of f16 or bf16, 8
/// of tf32, 32 of int8. With lane = 4 g + t: register i of c is row g + 8 (i / 2), column 2 t + i % 2.
namespace resnet::dev {

struct tf32 {
  float value;
};

namespace detail {
template <class T>
inline constexpr bool is_half = false;
template <>
inline constexpr bool is_half<half> = true;
}  // namespace detail

/// Whether this target's matrix unit takes the type. sm_75 knows f16 alone.
template <class T>
RESNET_DEVICE constexpr bool mma_available() {
#if RESNET_ON_GPU && __CUDA_ARCH__ < 800
  return detail::is_half<T>;
#else
  return true;
#endif
}

#if defined(__CUDACC__)
namespace detail {
RESNET_DEVICE void ldmatrix_x4(std::uint32_t& r0, std::uint32_t& r1, std::uint32_t& r2, std::uint32_t& r3,
                               const void* row) {
#if RESNET_ON_GPU
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3)
               : "r"(shared_address(row))
               : "memory");
#endif
}

template <class T>
RESNET_DEVICE void mma_one(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]);

#define RESNET_MMA_16(T, NAME)                                                                          \
  template <>                                                                                           \
  RESNET_DEVICE void mma_one<T>(float(&c)[4], const std::uint32_t(&a)[4], const std::uint32_t(&b)[2]) { \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." NAME "." NAME                                 \
                 ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                 \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                       \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                   \
  }
#if RESNET_ON_GPU && __CUDA_ARCH__ >= 800
RESNET_MMA_16(half, "f16")
RESNET_MMA_16(bfloat16, "bf16")
template <>
RESNET_DEVICE void mma_one<tf32>(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#elif RESNET_ON_GPU
// sm_75 has K = 8 only: the two halves of a K = 16 step are its registers 0, 1 and 2, 3.
template <>
RESNET_DEVICE void mma_one<half>(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  RESNET_UNROLL
  for (int step = 0; step < 2; ++step) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[2 * step]), "r"(a[2 * step + 1]), "r"(b[step]));
  }
}
template <>
RESNET_DEVICE void mma_one<bfloat16>(float (&)[4], const std::uint32_t (&)[4], const std::uint32_t (&)[2]) {
  trap("no bf16 matrix unit");
}
template <>
RESNET_DEVICE void mma_one<tf32>(float (&)[4], const std::uint32_t (&)[4], const std::uint32_t (&)[2]) {
  trap("no tf32 matrix unit");
}
#endif
#undef RESNET_MMA_16

RESNET_DEVICE void mma_one_s8(std::int32_t (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
#if RESNET_ON_GPU && __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, "
      "%1, %2, %3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  trap("no int8 matrix unit");
#endif
}
}  // namespace detail
#else
namespace detail {
template <class T>
constexpr sim::MmaType mma_type = sim::MmaType::f16;
template <>
inline constexpr sim::MmaType mma_type<bfloat16> = sim::MmaType::bf16;
template <>
inline constexpr sim::MmaType mma_type<tf32> = sim::MmaType::tf32;
}  // namespace detail
#endif

/// A operands of `rows` 16-row tiles. Lane l passes the shared address of row l % 16, 16-byte chunk l / 16 of the step.
template <int rows>
RESNET_DEVICE void ldmatrix_a(std::uint32_t (&a)[rows][4], const void* const (&row)[rows] RESNET_SITE) {
#if !defined(__CUDACC__)
  sim::ldmatrix_x4(&a[0][0], row, rows, site);
#else
  RESNET_UNROLL
  for (int i = 0; i < rows; ++i) detail::ldmatrix_x4(a[i][0], a[i][1], a[i][2], a[i][3], row[i]);
#endif
}

/// B operands of `columns` (even) 8-column tiles, two per load. Lane l passes the shared address of column
/// l % 8 + 8 (l / 16) of the pair, 16-byte chunk l / 8 % 2 of the step.
template <int columns>
RESNET_DEVICE void ldmatrix_b(std::uint32_t (&b)[columns][2], const void* const (&row)[columns / 2] RESNET_SITE) {
  static_assert(columns % 2 == 0);
#if !defined(__CUDACC__)
  sim::ldmatrix_x4(&b[0][0], row, columns / 2, site);
#else
  RESNET_UNROLL
  for (int j = 0; j < columns / 2; ++j)
    detail::ldmatrix_x4(b[2 * j][0], b[2 * j][1], b[2 * j + 1][0], b[2 * j + 1][1], row[j]);
#endif
}

/// c[i][j] += a[i] * b[j] over one K step, fp32 accumulation. T: half, bfloat16 or tf32 (operands rounded by
/// round_to_tf32). The order of additions inside a step is the hardware's.
template <class T, int rows, int columns>
RESNET_DEVICE void mma(float (&c)[rows][columns][4], const std::uint32_t (&a)[rows][4],
                       const std::uint32_t (&b)[columns][2] RESNET_SITE) {
#if !defined(__CUDACC__)
  sim::mma(detail::mma_type<T>, &c[0][0][0], &a[0][0], &b[0][0], rows, columns, site);
#elif RESNET_ON_GPU
  RESNET_UNROLL
  for (int i = 0; i < rows; ++i) {
    RESNET_UNROLL
    for (int j = 0; j < columns; ++j) detail::mma_one<T>(c[i][j], a[i], b[j]);
  }
#endif
}

/// The same for int8 with saturating int32 accumulation, from sm_80 on.
template <int rows, int columns>
RESNET_DEVICE void mma_s8(std::int32_t (&c)[rows][columns][4], const std::uint32_t (&a)[rows][4],
                          const std::uint32_t (&b)[columns][2] RESNET_SITE) {
#if !defined(__CUDACC__)
  sim::mma(sim::MmaType::s8, &c[0][0][0], &a[0][0], &b[0][0], rows, columns, site);
#elif RESNET_ON_GPU
  RESNET_UNROLL
  for (int i = 0; i < rows; ++i) {
    RESNET_UNROLL
    for (int j = 0; j < columns; ++j) detail::mma_one_s8(c[i][j], a[i], b[j]);
  }
#endif
}

}  // namespace resnet::dev
