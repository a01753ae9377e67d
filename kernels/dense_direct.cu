// Dense layer on CUDA cores, fp32 products and sums over f32, f16 or bf16 storage. The entry that takes every one.
//
// Up to 64 rows: the filter is read once and everything else is small, so a warp makes one output channel of up to 8
// rows: each lane multiplies 16-byte pieces of the filter row, 32 lanes apart, with the same pieces of the input rows
// (which stay in L1), and the warp adds its lanes by a butterfly. Four pieces of the filter are in flight per lane; 8
// warps per block. No shared memory. A row's sum has the same order whatever the number of rows.
//
// More rows: the layer is a 1x1 convolution of N images of one position, and conv_direct makes it.
//
// Budget: dense_direct_kernel 96 registers
#include "base/checked.hpp"
#include "kernels/as_conv.hpp"
#include "kernels/device/thread.hpp"
#include "kernels/estimate.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/launch.hpp"
#include "kernels/refusals.hpp"
#include "kernels/weight_packs.hpp"

namespace resnet::kernels {
namespace {

constexpr int warps = 8, threads = 32 * warps;
/// Up to here the rows' share of the time stays below the waste of a tile of 64 rows.
constexpr std::int64_t few_rows = 64;

constexpr int pieces = 4;

struct Params {
  const void* x;
  const void* weight;
  dev::Epilogue epilogue;
  std::int64_t N, C, K;
  std::int64_t channel_blocks;
};

template <class T, int count>
struct Piece {
  T elements[count];
};

/// 16 bytes or one element; zeros at the end of the row.
template <class T, int count>
RESNET_DEVICE Piece<T, count> load_piece(const T* row, std::int64_t c, std::int64_t C) {
  Piece<T, count> piece = {};
  if (c >= C) return piece;
  if constexpr (count > 1) {
    const dev::Vec16 vector = dev::load16(row + c);
    memcpy(&piece, &vector, 16);
  } else {
    piece.elements[0] = row[c];
  }
  return piece;
}

template <class T, int rows, bool vectors>
RESNET_KERNEL(threads, 2)
dense_direct_kernel(RESNET_PARAMS(Params) p) {
  constexpr int step = vectors ? 16 / static_cast<int>(sizeof(T)) : 1;
  const std::int64_t block = dev::block_index().x;
  const std::int64_t row_block = block / p.channel_blocks;
  const std::int64_t k = (block - row_block * p.channel_blocks) * warps + dev::warp();
  if (k >= p.K) return;
  const std::int64_t first_row = row_block * rows;
  const T* const weight = static_cast<const T*>(p.weight) + k * p.C;
  const T* const x = static_cast<const T*>(p.x) + first_row * p.C;
  const int valid_rows = p.N - first_row < rows ? static_cast<int>(p.N - first_row) : rows;

  float sums[rows] = {};
  RESNET_NO_UNROLL
  for (std::int64_t first = std::int64_t{dev::lane()} * step; first < p.C; first += pieces * 32 * step) {
    Piece<T, step> w[pieces];
    RESNET_UNROLL
    for (int u = 0; u < pieces; ++u) w[u] = load_piece<T, step>(weight, first + u * 32 * step, p.C);
    RESNET_UNROLL
    for (int u = 0; u < pieces; ++u) {
      RESNET_UNROLL
      for (int i = 0; i < rows; ++i) {
        if (i >= valid_rows) continue;
        const Piece<T, step> values = load_piece<T, step>(x + i * p.C, first + u * 32 * step, p.C);
        RESNET_UNROLL
        for (int j = 0; j < step; ++j) {
          sums[i] = fmaf(dev::to_float(values.elements[j]), dev::to_float(w[u].elements[j]), sums[i]);
        }
      }
    }
  }
  RESNET_UNROLL
  for (int i = 0; i < rows; ++i) {
    const float sum[1] = {dev::warp_sum(sums[i])};
    if (i < valid_rows && dev::lane() == static_cast<unsigned>(i)) {
      dev::finish_and_store(p.epilogue, sum, k, (first_row + i) * p.K + k, 1);
    }
  }
}

/// Of another order of addition, so not where the batch must not matter.
bool is_convolution(const DenseProblem& p) { return p.N > few_rows && !p.batch_invariant; }

std::int64_t rows_per_warp(const DenseProblem& p) { return p.N == 1 ? 1 : p.N == 2 ? 2 : p.N <= 4 ? 4 : 8; }
Support supports(const DenseProblem& p, const DeviceInfo& device) {
  if (is_convolution(p)) return conv_direct.supports(Problem(as_conv(p)), device);
  if (const Support types = needs_float(p.in, p.out); !types) return types;
  if (const Support precision = needs_float_precision(p.precision); !precision) return precision;
  return needs_31_bits(div_up(p.K, warps) * div_up(p.N, rows_per_warp(p)), "K N / 64");
}

double estimate_us(const DenseProblem& p, const DeviceInfo& device) {
  if (is_convolution(p)) return conv_direct.estimate_us(Problem(as_conv(p)), device);
  // The filter comes from L2, at about twice the memory's rate, for every further group of rows.
  const double filter = static_cast<double>(p.K * p.C) * static_cast<double>(size_of(p.in));
  const double repeats = static_cast<double>(div_up(p.N, rows_per_warp(p)) - 1) / 2;
  return streaming_us(device, least_bytes(p) + filter * repeats);
}

std::size_t workspace_bytes(const DenseProblem& p, const DeviceInfo& device) {
  return is_convolution(p) ? conv_direct.workspace_bytes(Problem(as_conv(p)), device) : 0;
}

template <class T, bool vectors>
cudaError_t launch_rows(std::int64_t rows, const Params& p, const LaunchShape& shape, cudaStream_t stream) {
  switch (rows) {
    case 1:
      return launch_kernel("dense_direct", dense_direct_kernel<T, 1, vectors>, shape, stream, p);
    case 2:
      return launch_kernel("dense_direct", dense_direct_kernel<T, 2, vectors>, shape, stream, p);
    case 4:
      return launch_kernel("dense_direct", dense_direct_kernel<T, 4, vectors>, shape, stream, p);
    default:
      return launch_kernel("dense_direct", dense_direct_kernel<T, 8, vectors>, shape, stream, p);
  }
}

template <class T>
cudaError_t launch_type(const DenseProblem& problem, const Params& p, const LaunchShape& shape, cudaStream_t stream) {
  const std::int64_t rows = rows_per_warp(problem);
  // Rows start on 16 bytes where C is a multiple of a vector.
  const bool vectors =
      is_aligned(p.x, 16) && is_aligned(p.weight, 16) && p.C % static_cast<std::int64_t>(16 / sizeof(T)) == 0;
  return vectors ? launch_rows<T, true>(rows, p, shape, stream) : launch_rows<T, false>(rows, p, shape, stream);
}

cudaError_t launch(const DenseProblem& problem, const Operands& operands, const LaunchTarget& target) {
  if (is_convolution(problem)) return conv_direct.launch(Problem(as_conv(problem)), operands, target);
  Params p = {};
  p.x = operands.x;
  p.weight = operands.weight;
  p.epilogue = make_epilogue(problem.epilogue, problem.out, operands);
  p.N = problem.N;
  p.C = problem.C;
  p.K = problem.K;
  p.channel_blocks = div_up(problem.K, warps);
  LaunchShape shape;
  shape.blocks_x = static_cast<unsigned>(p.channel_blocks * div_up(problem.N, rows_per_warp(problem)));
  shape.threads = threads;
  return with_float_type(problem.in, [&]<class T>() { return launch_type<T>(problem, p, shape, target.stream); });
}

}  // namespace

extern constinit const Kernel dense_direct =
    make_kernel<DenseProblem, supports, estimate_us, workspace_bytes, launch>("dense_direct", plain_weights);

}  // namespace resnet::kernels
