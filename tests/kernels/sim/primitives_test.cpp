#include <cmath>
#include <cstdint>
#include <random>

#include "device_array.hpp"
#include "kernels/device/memory.hpp"
#include "kernels/device/mma.hpp"
#include "kernels/device/thread.hpp"
#include "kernels/sim/matrix.hpp"

namespace resnet::sim {
namespace {

struct AddParams {
  const float *a, *b;
  float* sum;
  int count;
};
RESNET_KERNEL(64, 1) add_kernel(RESNET_PARAMS(AddParams) p) {
  const int i = static_cast<int>(dev::block_index().x * dev::block_threads() + dev::thread_index());
  if (i < p.count) p.sum[i] = p.a[i] + p.b[i];
}

TEST_F(SimTest, AddsVectors) {
  constexpr int count = 1000;
  std::vector<float> a(count), b(count);
  for (int i = 0; i < count; ++i) {
    a[static_cast<std::size_t>(i)] = static_cast<float>(i);
    b[static_cast<std::size_t>(i)] = static_cast<float>(3 * i);
  }
  const DeviceArray<float> da(a), db(b), sum(count);
  ASSERT_EQ(kernels::launch_kernel("add", add_kernel, {.blocks_x = 16, .threads = 64}, nullptr,
                                   AddParams{da.data(), db.data(), sum.data(), count}),
            cudaSuccess);
  const std::vector<float> result = sum.values();
  for (int i = 0; i < count; ++i) ASSERT_EQ(result[static_cast<std::size_t>(i)], static_cast<float>(4 * i)) << i;
}

struct SumParams {
  const float* x;
  float* partial;
  float* total;
  std::uint32_t* semaphore;
};

/// Tree reduction in shared memory, then the last block to finish adds all partial sums in block order.
RESNET_KERNEL(128, 1) sum_kernel(RESNET_PARAMS(SumParams) p) {
  dev::SharedArena arena;
  float* const values = arena.allocate<float>(128);
  std::uint32_t* const last = arena.allocate<std::uint32_t>(1);
  const unsigned thread = dev::thread_index(), block = dev::block_index().x, blocks = dev::grid_size().x;
  values[thread] = p.x[block * 128 + thread];
  dev::sync_threads();
  for (unsigned half = 64; half >= 32; half /= 2) {
    if (thread < half) values[thread] += values[thread + half];
    dev::sync_threads();
  }
  if (thread < 32) {
    float sum = values[thread];
    for (int delta = 16; delta > 0; delta /= 2) sum += dev::shuffle_down(sum, delta);
    if (thread == 0) {
      p.partial[block] = sum;
      *last = dev::atomic_add(p.semaphore, 1) == blocks - 1 ? 1 : 0;
    }
  }
  dev::sync_threads();
  if (*last != 0 && thread == 0) {
    float sum = 0;
    for (unsigned i = 0; i < blocks; ++i) sum += p.partial[i];
    *p.total = sum;
    *p.semaphore = 0;
  }
}

TEST_F(SimTest, ReducesInABlockAndInTheLastBlock) {
  constexpr std::size_t blocks = 7;
  std::vector<float> x(blocks * 128);
  float expected = 0;
  for (std::size_t i = 0; i < x.size(); ++i) expected += x[i] = static_cast<float>(i % 17);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    set_schedule({.seed = seed});
    const DeviceArray<float> dx(x), partial(blocks), total(1);
    const DeviceArray<std::uint32_t> semaphore(std::vector<std::uint32_t>{0});
    ASSERT_EQ(kernels::launch_kernel("sum", sum_kernel, {.blocks_x = blocks, .threads = 128, .shared_bytes = 528},
                                     nullptr, SumParams{dx.data(), partial.data(), total.data(), semaphore.data()}),
              cudaSuccess);
    EXPECT_EQ(total.values()[0], expected);
    EXPECT_EQ(semaphore.values()[0], 0u);
  }
}

struct ShuffleParams {
  int* out;  ///< [kinds][32]
};
RESNET_KERNEL(32, 1) shuffle_kernel(RESNET_PARAMS(ShuffleParams) p) {
  const int lane = static_cast<int>(dev::lane());
  p.out[lane] = dev::shuffle(lane, 5);
  p.out[32 + lane] = dev::shuffle(lane, 9, 8);
  p.out[64 + lane] = dev::shuffle_xor(lane, 3);
  p.out[96 + lane] = dev::shuffle_down(lane, 3, 16);
  p.out[128 + lane] = static_cast<int>(dev::ballot(lane % 3 == 0));
  p.out[160 + lane] = -1;
  if (lane < 8) p.out[160 + lane] = dev::shuffle_xor(lane, 1, 32, 0xffu);
}

TEST_F(SimTest, ShufflesAndVotes) {
  const DeviceArray<int> out(192);
  ASSERT_EQ(kernels::launch_kernel("shuffle", shuffle_kernel, {.threads = 32}, nullptr, ShuffleParams{out.data()}),
            cudaSuccess);
  const std::vector<int> result = out.values();
  for (int lane = 0; lane < 32; ++lane) {
    const auto at = [&](int kind) { return result[static_cast<std::size_t>(32 * kind + lane)]; };
    EXPECT_EQ(at(0), 5);
    EXPECT_EQ(at(1), lane / 8 * 8 + 1);
    EXPECT_EQ(at(2), lane ^ 3);
    EXPECT_EQ(at(3), lane % 16 + 3 < 16 ? lane + 3 : lane);
    EXPECT_EQ(static_cast<unsigned>(at(4)), 0x49249249u);
    EXPECT_EQ(at(5), lane < 8 ? (lane ^ 1) : -1);
  }
}

/// One 32 x 32 tile of c = a b^T with 64 bytes of K through cp.async, ldmatrix and mma, by one warp.
struct MatrixParams {
  const unsigned char *a, *b;  ///< [32][64 bytes]
  void* c;                     ///< [32][32] fp32 or int32
};
template <class T, class C>
RESNET_KERNEL(32, 1)
matrix_kernel(RESNET_PARAMS(MatrixParams) p) {
  constexpr int row_bytes = 64;
  dev::SharedArena arena;
  unsigned char* const a_tile = arena.allocate<unsigned char>(32 * row_bytes);
  unsigned char* const b_tile = arena.allocate<unsigned char>(32 * row_bytes);
  const unsigned lane = dev::lane();
  for (unsigned step = 0; step < 2; ++step) {
    for (unsigned chunk = 2 * step; chunk < 2 * step + 2; ++chunk) {
      dev::cp_async16(a_tile + lane * row_bytes + chunk * 16, p.a + lane * row_bytes + chunk * 16);
      dev::cp_async16(b_tile + lane * row_bytes + chunk * 16, p.b + lane * row_bytes + chunk * 16);
    }
    dev::cp_async_commit();
  }
  C sums[2][4][4] = {};
  for (unsigned step = 0; step < 2; ++step) {
    if (step == 0) {
      dev::cp_async_wait<1>();
    } else {
      dev::cp_async_wait<0>();
    }
    dev::sync_warp();
    std::uint32_t a[2][4], b[4][2];
    const void *a_rows[2], *b_rows[2];
    for (unsigned i = 0; i < 2; ++i) {
      a_rows[i] = a_tile + (16 * i + lane % 16) * row_bytes + step * 32 + lane / 16 * 16;
      b_rows[i] = b_tile + (16 * i + lane % 8 + lane / 16 * 8) * row_bytes + step * 32 + lane / 8 % 2 * 16;
    }
    dev::ldmatrix_a(a, a_rows);
    dev::ldmatrix_b(b, b_rows);
    if constexpr (sizeof(T) == 1) {
      dev::mma_s8(sums, a, b);
    } else {
      dev::mma<T>(sums, a, b);
    }
  }
  for (unsigned i = 0; i < 2; ++i)
    for (unsigned j = 0; j < 4; ++j)
      for (unsigned r = 0; r < 4; ++r)
        static_cast<C*>(p.c)[(16 * i + lane / 4 + 8 * (r / 2)) * 32 + 8 * j + 2 * (lane % 4) + r % 2] = sums[i][j][r];
}

template <class T>
std::vector<unsigned char> operand(std::mt19937& random, std::vector<double>& values) {
  constexpr std::size_t k_count = 64 / sizeof(T);
  std::vector<unsigned char> bytes(32 * 64);
  values.clear();
  for (std::size_t i = 0; i < 32 * k_count; ++i) {
    const int value = static_cast<int>(random() % 17) - 8;
    values.push_back(value);
    T element;
    if constexpr (sizeof(T) == 1) {
      element = static_cast<T>(value);
    } else if constexpr (sizeof(T) == 4) {
      element = {static_cast<float>(value)};
    } else {
      element = dev::from_float<T>(static_cast<float>(value));
    }
    std::memcpy(bytes.data() + i * sizeof(T), &element, sizeof(T));
  }
  return bytes;
}

template <class T, class C>
void check_matrix() {
  std::mt19937 random(7);
  std::vector<double> a, b;
  const DeviceArray<unsigned char> da(operand<T>(random, a)), db(operand<T>(random, b));
  constexpr std::size_t k_count = 64 / sizeof(T);
  for (int variant = 0; variant < 24; ++variant) {
    use_vector_unit(variant % 2 == 0);
    set_schedule({.seed = static_cast<std::uint64_t>(variant),
                  .copies = static_cast<CopyPolicy>(variant % 3),
                  .truncating_mma = variant % 4 >= 2});
    const DeviceArray<C> c(32 * 32);
    ASSERT_EQ(kernels::launch_kernel("matrix", matrix_kernel<T, C>, {.threads = 32, .shared_bytes = 4096}, nullptr,
                                     MatrixParams{da.data(), db.data(), c.data()}),
              cudaSuccess);
    const std::vector<C> result = c.values();
    for (std::size_t i = 0; i < 32; ++i) {
      for (std::size_t j = 0; j < 32; ++j) {
        double sum = 0;
        for (std::size_t k = 0; k < k_count; ++k) sum += a[i * k_count + k] * b[j * k_count + k];
        ASSERT_EQ(static_cast<double>(result[i * 32 + j]), sum) << i << "," << j << " variant " << variant;
      }
    }
  }
  use_vector_unit(true);
}

TEST_F(SimTest, MultipliesF16) { check_matrix<dev::half, float>(); }
TEST_F(SimTest, MultipliesBf16) { check_matrix<dev::bfloat16, float>(); }
TEST_F(SimTest, MultipliesTf32) { check_matrix<dev::tf32, float>(); }
TEST_F(SimTest, MultipliesInt8) { check_matrix<std::int8_t, std::int32_t>(); }

/// Stages of cp.async with zero fill: out[i] = x[i] for valid elements, 0 behind them.
struct CopyParams {
  const float* x;
  float* out;
  int valid;
};
RESNET_KERNEL(64, 1) copy_kernel(RESNET_PARAMS(CopyParams) p) {
  dev::SharedArena arena;
  float* const stages = arena.allocate<float>(2 * 256);
  const int thread = static_cast<int>(dev::thread_index());
  const auto issue = [&](int step) {
    if (step < 8) {
      const int first = step * 256 + thread * 4;
      const int left = p.valid - first;
      const int bytes = left <= 0 ? 0 : left >= 4 ? 16 : left * 4;
      dev::cp_async16(stages + step % 2 * 256 + thread * 4, left > 0 ? p.x + first : p.x, bytes);
    }
    dev::cp_async_commit();
  };
  issue(0);
  for (int step = 0; step < 8; ++step) {
    issue(step + 1);
    dev::cp_async_wait<1>();
    dev::sync_threads();
    // The neighbour's data.
    const int other = 63 - thread;
    for (int i = 0; i < 4; ++i) p.out[step * 256 + other * 4 + i] = stages[step % 2 * 256 + other * 4 + i];
    dev::sync_threads();
  }
}

TEST_F(SimTest, CopiesThroughStagesWithZeroFill) {
  std::vector<float> x(2048);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i + 1);
  const int valid = 1234;
  for (int variant = 0; variant < 12; ++variant) {
    set_schedule({.seed = static_cast<std::uint64_t>(variant), .copies = static_cast<CopyPolicy>(variant % 3)});
    const DeviceArray<float> dx(x), out(2048);
    ASSERT_EQ(kernels::launch_kernel("copy", copy_kernel, {.threads = 64, .shared_bytes = 2048}, nullptr,
                                     CopyParams{dx.data(), out.data(), valid}),
              cudaSuccess);
    const std::vector<float> result = out.values();
    for (int i = 0; i < 2048; ++i)
      ASSERT_EQ(result[static_cast<std::size_t>(i)], i < valid ? static_cast<float>(i + 1) : 0.0f) << i;
  }
}

}  // namespace
}  // namespace resnet::sim
