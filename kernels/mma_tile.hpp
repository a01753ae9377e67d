#pragma once

#include "kernels/device/epilogue.hpp"
#include "kernels/device/mma.hpp"
#include "kernels/device/swizzle.hpp"
#include "kernels/device/thread.hpp"

/// The pieces that kernels on the matrix unit share: block tile, pipeline, split reduction, store.
namespace resnet::kernels {

/// A block computes block_m rows x block_n columns; its warps share them as warps_m x warps_n rectangles. A stage of
/// the pipeline holds `row_bytes` of the reduction for every row and every column. `blocks` per multiprocessor is what
/// the registers must allow.
template <class Type, int block_m_, int block_n_, int warps_m_, int warps_n_, int row_bytes_, int stages_, int blocks_>
struct MmaTile {
  using T = Type;
  static constexpr int block_m = block_m_, block_n = block_n_, warps_m = warps_m_, warps_n = warps_n_;
  static constexpr int row_bytes = row_bytes_, stages = stages_, blocks = blocks_;
  static constexpr int threads = 32 * warps_m * warps_n;
  static constexpr int warp_m = block_m / warps_m, warp_n = block_n / warps_n;
  static constexpr int row_tiles = warp_m / 16, column_tiles = warp_n / 8;
  static constexpr int chunks = row_bytes / 16;   ///< of 16 bytes, per row and stage
  static constexpr int k_steps = row_bytes / 32;  ///< of the matrix unit, per stage
  static constexpr int stage_bytes = (block_m + block_n) * row_bytes;
  /// A small tile may run with twice the stages, where so few blocks run that the latency of the copies decides.
  static constexpr bool may_be_deep = block_m * block_n <= 64 * 64;
  static constexpr int pipeline_bytes = stages * stage_bytes, store_bytes = block_m * block_n * 4;
  static constexpr int shared_bytes = pipeline_bytes > store_bytes ? pipeline_bytes : store_bytes;
  static constexpr int rows_per_pass = threads / chunks;  ///< that one copy per thread fills
  static constexpr int a_loads = block_m / rows_per_pass, b_loads = block_n / rows_per_pass;
  static_assert(warp_m % 16 == 0 && warp_n % 16 == 0 && warp_n <= 64);
  static_assert(rows_per_pass % 8 == 0 && block_m % rows_per_pass == 0 && block_n % rows_per_pass == 0);
};

template <class Tile>
using Accumulators = float[Tile::row_tiles][Tile::column_tiles][4];

/// Where this lane's operand rows begin in a stage, and which chunk of them it addresses.
template <class Tile>
struct OperandPosition {
  unsigned a_row, b_row, a_chunk, b_chunk;
  RESNET_DEVICE OperandPosition() {
    const unsigned lane = dev::lane(), warp = dev::warp();
    a_row = warp / Tile::warps_n * Tile::warp_m + lane % 16;
    b_row = warp % Tile::warps_n * Tile::warp_n + lane % 8 + 8 * (lane / 16);
    a_chunk = lane / 16;
    b_chunk = lane / 8 % 2;
  }
};

/// Operands of K step `k_step`. Rows 16 apart have the same swizzle.
template <class Tile>
RESNET_DEVICE void load_operands(std::uint32_t (&a)[Tile::row_tiles][4], std::uint32_t (&b)[Tile::column_tiles][2],
                                 const unsigned char* a_rows, const unsigned char* b_rows,
                                 const OperandPosition<Tile>& at, unsigned k_step) {
  const unsigned char* const a_row = a_rows + dev::swizzled<Tile::row_bytes>(at.a_row, 2 * k_step + at.a_chunk);
  const unsigned char* const b_row = b_rows + dev::swizzled<Tile::row_bytes>(at.b_row, 2 * k_step + at.b_chunk);
  const void* a_address[Tile::row_tiles];
  const void* b_address[Tile::column_tiles / 2];
  RESNET_UNROLL
  for (int i = 0; i < Tile::row_tiles; ++i) a_address[i] = a_row + i * 16 * Tile::row_bytes;
  RESNET_UNROLL
  for (int j = 0; j < Tile::column_tiles / 2; ++j) b_address[j] = b_row + j * 16 * Tile::row_bytes;
  dev::ldmatrix_a(a, a_address);
  dev::ldmatrix_b(b, b_address);
}

/// Filters are rounded when packed, activations here.
template <class Tile>
RESNET_DEVICE void round_activations(std::uint32_t (&a)[Tile::row_tiles][4]) {
  if constexpr (sizeof(typename Tile::T) == 4) {
    RESNET_UNROLL
    for (int i = 0; i < Tile::row_tiles; ++i) {
      RESNET_UNROLL
      for (int e = 0; e < 4; ++e) a[i][e] = dev::round_to_tf32(a[i][e]);
    }
  }
}

template <class Tile>
RESNET_DEVICE void clear(Accumulators<Tile>& c) {
  RESNET_UNROLL
  for (int i = 0; i < Tile::row_tiles; ++i) {
    RESNET_UNROLL
    for (int j = 0; j < Tile::column_tiles; ++j) {
      RESNET_UNROLL
      for (int e = 0; e < 4; ++e) c[i][j][e] = 0;
    }
  }
}

/// `steps` (at least 1) stages through the pipeline. `loader.load(part, stage)` starts the copies number `part`,
/// `part` + k_steps ... of its present stage, zeros beyond the end of the reduction; `loader.advance()` goes to the
/// next stage. One barrier per stage: it publishes stage i and at the same time says that all have read stage i - 1,
/// whose memory the copies behind it overwrite.
template <class Tile, class Loader>
RESNET_DEVICE void multiply(Accumulators<Tile>& c, Loader& loader, unsigned char* shared, int steps, bool deep) {
  const int stages = Tile::may_be_deep && deep ? 2 * Tile::stages : Tile::stages;
  const OperandPosition<Tile> at;
  const auto fill = [&](int stage) {
    if (stage < steps) {
      RESNET_UNROLL
      for (int part = 0; part < Tile::k_steps; ++part) loader.load(part, shared + stage * Tile::stage_bytes);
      loader.advance();
    }
    dev::cp_async_commit();
  };
  if constexpr (Tile::may_be_deep) {
    RESNET_NO_UNROLL
    for (int stage = 0; stage < stages - 1; ++stage) fill(stage);
  } else {
    RESNET_UNROLL
    for (int stage = 0; stage < Tile::stages - 1; ++stage) fill(stage);
  }
  int read = 0, write = stages - 1;
  RESNET_NO_UNROLL
  for (int step = 0; step < steps; ++step) {
    if (Tile::may_be_deep && deep) {
      dev::cp_async_wait<2 * Tile::stages - 2>();
    } else {
      dev::cp_async_wait<Tile::stages - 2>();
    }
    dev::sync_threads();
    const unsigned char* const a_rows = shared + read * Tile::stage_bytes;
    const unsigned char* const b_rows = a_rows + Tile::block_m * Tile::row_bytes;
    unsigned char* const next = shared + write * Tile::stage_bytes;
    std::uint32_t a[2][Tile::row_tiles][4];
    std::uint32_t b[2][Tile::column_tiles][2];
    load_operands<Tile>(a[0], b[0], a_rows, b_rows, at, 0);
    RESNET_UNROLL
    for (int k_step = 0; k_step < Tile::k_steps; ++k_step) {
      const int now = k_step % 2;
      if (k_step + 1 < Tile::k_steps)
        load_operands<Tile>(a[1 - now], b[1 - now], a_rows, b_rows, at, static_cast<unsigned>(k_step + 1));
      loader.load(k_step, next);
      round_activations<Tile>(a[now]);
      dev::mma<typename Tile::T>(c, a[now], b[now]);
    }
    loader.advance();
    dev::cp_async_commit();
    read = read + 1 == stages ? 0 : read + 1;
    write = write + 1 == stages ? 0 : write + 1;
  }
  dev::cp_async_wait<0>();
}

/// Sums the accumulators of the `splits` blocks of one tile in the order 0, 1 ... in the block that comes last; true
/// there, after it has put the semaphore back to 0. `partials`:
/// block_m x block_n floats per split, private to the tile.
template <class Tile>
RESNET_DEVICE bool reduce_splits(Accumulators<Tile>& c, unsigned char* shared, float* partials,
                                 std::uint32_t* semaphore, int split, int splits) {
  constexpr int vectors = Tile::row_tiles * Tile::column_tiles;  // of 16 bytes, per thread
  constexpr int split_elements = Tile::block_m * Tile::block_n;
  float* const own = partials + dev::thread_index() * 4;
  RESNET_UNROLL
  for (int i = 0; i < Tile::row_tiles; ++i) {
    RESNET_UNROLL
    for (int j = 0; j < Tile::column_tiles; ++j) {
      dev::Vec16 vector;
      memcpy(&vector, c[i][j], 16);
      dev::store16(own + split * split_elements + (i * Tile::column_tiles + j) * Tile::threads * 4, vector);
    }
  }
  // Behind this barrier the pipeline's memory is free as well.
  dev::sync_threads();
  std::uint32_t* const arrived = reinterpret_cast<std::uint32_t*>(shared);
  if (dev::thread_index() == 0) *arrived = dev::atomic_add(semaphore, 1u);
  dev::sync_threads();
  if (*arrived != static_cast<std::uint32_t>(splits - 1)) return false;
  if (dev::thread_index() == 0) *semaphore = 0;
  clear<Tile>(c);
  // As many vectors in flight at once as the accumulators leave registers for.
  constexpr int together = vectors < 16 ? vectors : 16, batch = vectors < 24 ? 24 / vectors : 1;
  RESNET_NO_UNROLL
  for (int first = 0; first < splits; first += batch) {
    RESNET_UNROLL
    for (int part = 0; part < vectors; part += together) {
      dev::Vec16 loaded[batch][together];
      RESNET_UNROLL
      for (int z = 0; z < batch; ++z) {
        if (first + z < splits) {
          RESNET_UNROLL
          for (int v = 0; v < together; ++v)
            loaded[z][v] = dev::load16(own + (first + z) * split_elements + (part + v) * Tile::threads * 4);
        }
      }
      RESNET_UNROLL
      for (int z = 0; z < batch; ++z) {
        if (first + z < splits) {
          RESNET_UNROLL
          for (int v = 0; v < together; ++v) {
            float values[4];
            memcpy(values, &loaded[z][v], 16);
            RESNET_UNROLL
            for (int e = 0; e < 4; ++e)
              c[(part + v) / Tile::column_tiles][(part + v) % Tile::column_tiles][e] += values[e];
          }
        }
      }
    }
  }
  // `arrived` has been read by all before the store below overwrites it.
  dev::sync_threads();
  return true;
}

/// Word of the store tile of one warp: row, group of 8 columns. The exchange of groups spreads the rows of a fragment
/// over the banks.
template <int warp_n>
RESNET_DEVICE int store_word(int row, int group) {
  constexpr int groups = warp_n / 8, rows_per_line = groups >= 4 ? 1 : 4 / groups;
  return row * warp_n + ((group ^ ((row / rows_per_line) % groups)) * 8);
}

namespace detail {

RESNET_DEVICE void load_accumulators(float (&acc)[8], const float* words) {
  const dev::Vec16 low = dev::load16(words), high = dev::load16(words + 4);
  memcpy(acc, &low, 16);
  memcpy(acc + 4, &high, 16);
}

/// Rows whose 8 columns are full and whose addresses allow 16-byte accesses. The residuals of several rows are in
/// flight together.
template <class Tile, class Out, class Rows>
RESNET_DEVICE void store_full_rows(const dev::Epilogue& epilogue, const dev::Channels<8>& channels, const float* tile,
                                   const Rows& output_row, std::int64_t columns, std::int64_t column) {
  constexpr int lanes_per_row = Tile::warp_n / 8, rows_per_pass = 32 / lanes_per_row;
  constexpr int passes = Tile::warp_m / rows_per_pass, batch = passes < 4 ? passes : 4;
  constexpr int vectors = static_cast<int>(sizeof(Out)) / 2, in_vector = 8 / vectors;
  const int lane = static_cast<int>(dev::lane());
  const int row0 = lane / lanes_per_row, group = lane % lanes_per_row;
  const int warp_row = static_cast<int>(dev::warp()) / Tile::warps_n * Tile::warp_m;
  const Out* const residual = static_cast<const Out*>(epilogue.residual);
  Out* const y = static_cast<Out*>(epilogue.y);
  RESNET_NO_UNROLL
  for (int pass = 0; pass < passes; pass += batch) {
    std::int64_t offset[batch];
    dev::Vec16 second[batch][vectors];
    RESNET_UNROLL
    for (int u = 0; u < batch; ++u) {
      const std::int64_t row = output_row(warp_row + row0 + (pass + u) * rows_per_pass);
      offset[u] = row < 0 ? -1 : row * columns + column;
      if (residual && row >= 0) {
        RESNET_UNROLL
        for (int v = 0; v < vectors; ++v) second[u][v] = dev::load16(residual + offset[u] + v * in_vector);
      }
    }
    RESNET_UNROLL
    for (int u = 0; u < batch; ++u) {
      if (offset[u] < 0) continue;
      float acc[8], values[8] = {};
      load_accumulators(acc, tile + store_word<Tile::warp_n>(row0 + (pass + u) * rows_per_pass, group));
      if (residual) {
        RESNET_UNROLL
        for (int v = 0; v < vectors; ++v) dev::detail::unpack<Out>(second[u][v], values, v * in_vector);
      }
      dev::finish<true>(epilogue, channels, acc, values);
      RESNET_UNROLL
      for (int v = 0; v < vectors; ++v)
        dev::store16(y + offset[u] + v * in_vector, dev::detail::pack<Out>(values, v * in_vector));
    }
  }
}

}  // namespace detail

/// Each warp's rectangle of accumulators into its part of `shared`, for store_staged(). The caller has put a barrier
/// between the last read of `shared` and this, or a warp's own one if only that warp has read its part.
template <class Tile>
RESNET_DEVICE float* stage_tile(const Accumulators<Tile>& c, unsigned char* shared) {
  const int lane = static_cast<int>(dev::lane()), warp = static_cast<int>(dev::warp());
  float* const tile = reinterpret_cast<float*>(shared) + warp * Tile::warp_m * Tile::warp_n;
  RESNET_UNROLL
  for (int i = 0; i < Tile::row_tiles; ++i) {
    RESNET_UNROLL
    for (int j = 0; j < Tile::column_tiles; ++j) {
      RESNET_UNROLL
      for (int half = 0; half < 2; ++half) {
        float* const words = tile + store_word<Tile::warp_n>(i * 16 + half * 8 + lane / 4, j) + lane % 4 * 2;
        dev::store8(words, dev::to_bits(c[i][j][2 * half]), dev::to_bits(c[i][j][2 * half + 1]));
      }
    }
  }
  dev::sync_warp();
  return tile;
}

/// A staged tile through the epilogue into an output of rows of `columns` channels; a lane has 8 consecutive channels.
/// `output_row(i)` is the output's row for row i of the tile, negative where there is none.
template <class Tile, class Rows>
RESNET_DEVICE void store_staged(const float* tile, const dev::Epilogue& epilogue, const Rows& output_row,
                                std::int64_t columns, std::int64_t first_column) {
  constexpr int lanes_per_row = Tile::warp_n / 8, rows_per_pass = 32 / lanes_per_row;
  const int lane = static_cast<int>(dev::lane()), warp = static_cast<int>(dev::warp());
  const int group = lane % lanes_per_row;
  const std::int64_t column = first_column + warp % Tile::warps_n * Tile::warp_n + group * 8;
  if (column >= columns) return;
  const int valid = columns - column < 8 ? static_cast<int>(columns - column) : 8;
  const dev::Channels<8> channels = dev::load_channels<8>(epilogue, column, valid);
  const bool common = epilogue.activation == ActivationKind::none || epilogue.activation == ActivationKind::relu;
  // Offsets are multiples of 8 elements then.
  if (common && epilogue.vectors && columns % 8 == 0) {
    if (epilogue.out == DType::f16)
      return detail::store_full_rows<Tile, dev::half>(epilogue, channels, tile, output_row, columns, column);
    if (epilogue.out == DType::bf16)
      return detail::store_full_rows<Tile, dev::bfloat16>(epilogue, channels, tile, output_row, columns, column);
    return detail::store_full_rows<Tile, float>(epilogue, channels, tile, output_row, columns, column);
  }
  const int warp_row = warp / Tile::warps_n * Tile::warp_m;
  RESNET_NO_UNROLL
  for (int row = lane / lanes_per_row; row < Tile::warp_m; row += rows_per_pass) {
    const std::int64_t out = output_row(warp_row + row);
    if (out < 0) continue;
    float acc[8];
    detail::load_accumulators(acc, tile + store_word<Tile::warp_n>(row, group));
    dev::finish_and_store(epilogue, channels, acc, out * columns + column, valid);
  }
}

template <class Tile, class Rows>
RESNET_DEVICE void store_tile(const Accumulators<Tile>& c, unsigned char* shared, const dev::Epilogue& epilogue,
                              const Rows& output_row, std::int64_t columns, std::int64_t first_column) {
  store_staged<Tile>(stage_tile<Tile>(c, shared), epilogue, output_row, columns, first_column);
}

}  // namespace resnet::kernels
