// One kernel per building block, of one warp where it is not about barriers of more. Operands are small integers that
// differ from element to element, so that a wrong lane, byte or element changes the words that come out. Of larger
// blocks, the first warp's words are kept.

#include <array>
#include <stdexcept>
#include <vector>

#include "base/json.hpp"
#include "kernels/cuda_api.hpp"
#include "kernels/device/mma.hpp"
#include "kernels/device/swizzle.hpp"
#include "kernels/device/thread.hpp"
#include "kernels/device/types.hpp"
#include "kernels/launch.hpp"
#include "kernels/primitives/primitives.hpp"

namespace resnet::test {
namespace {

constexpr int max_words = 32;  ///< per lane
constexpr int ramp_words = 256;

constexpr std::array<std::uint32_t, 32> patterns{
    0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x3f801000, 0x3f802000, 0x3f803000, 0x3f801001,
    0x3f808000, 0x3f818000, 0x3f808001, 0x477fe000, 0x477fefff, 0x477ff000, 0x7f7fffff, 0x7f800000,
    0xff800000, 0x7fc00000, 0x38800000, 0x387fc000, 0x33800000, 0x33000000, 0x33000001, 0x00400000,
    0x00000001, 0x42fe0000, 0x437f0000, 0x437f8000, 0xc0000000, 0x3f000000, 0x3fc00000, 0x40200000};

struct Params {
  const std::uint32_t* in = nullptr;  ///< 0x01010101 i for i < ramp_words, then the patterns
  std::uint32_t* out = nullptr;       ///< [32 lanes][max_words]
};

RESNET_DEVICE std::uint32_t* own_words(const Params& p) { return p.out + dev::thread_index() * max_words; }

/// Small integers without a pattern: -4 ... 4.
RESNET_DEVICE int digit(unsigned lane, unsigned element, unsigned salt) {
  return static_cast<int>((lane * 37u + element * 101u + salt * 53u + (lane * element) % 7u) % 9u) - 4;
}

template <class T>
RESNET_DEVICE std::uint32_t operand_word(unsigned lane, unsigned word, unsigned salt) {
  if constexpr (sizeof(T) == 2) {
    return dev::pack2<T>(static_cast<float>(digit(lane, 2 * word, salt)),
                         static_cast<float>(digit(lane, 2 * word + 1, salt)));
  } else {
    return dev::to_bits(static_cast<float>(digit(lane, word, salt)));
  }
}

template <class T>
RESNET_KERNEL(32, 1)
mma_kernel(RESNET_PARAMS(Params) p) {
  const unsigned lane = dev::lane();
  std::uint32_t a[1][4], b[2][2];
  float c[1][2][4];
  RESNET_UNROLL
  for (unsigned i = 0; i < 4; ++i) a[0][i] = operand_word<T>(lane, i, 1);
  RESNET_UNROLL
  for (unsigned j = 0; j < 2; ++j) {
    RESNET_UNROLL
    for (unsigned i = 0; i < 2; ++i) b[j][i] = operand_word<T>(lane, i, 2 + j);
    RESNET_UNROLL
    for (unsigned i = 0; i < 4; ++i) c[0][j][i] = static_cast<float>(static_cast<int>(lane * 8 + j * 4 + i));
  }
  dev::mma<T>(c, a, b);
  RESNET_UNROLL
  for (int i = 0; i < 8; ++i) own_words(p)[i] = dev::to_bits(c[0][i / 4][i % 4]);
}

RESNET_KERNEL(32, 1)
mma_s8_kernel(RESNET_PARAMS(Params) p) {
  const unsigned lane = dev::lane();
  std::uint32_t a[1][4], b[2][2];
  std::int32_t c[1][2][4];
  const auto word = [&](unsigned i, unsigned salt) {
    std::uint32_t packed = 0;
    RESNET_UNROLL
    for (unsigned byte = 0; byte < 4; ++byte) {
      packed |= (static_cast<std::uint32_t>(digit(lane, 4 * i + byte, salt)) & 0xffu) << (8 * byte);
    }
    return packed;
  };
  RESNET_UNROLL
  for (unsigned i = 0; i < 4; ++i) a[0][i] = word(i, 1);
  RESNET_UNROLL
  for (unsigned j = 0; j < 2; ++j) {
    RESNET_UNROLL
    for (unsigned i = 0; i < 2; ++i) b[j][i] = word(i, 2 + j);
    // The second tile starts at the end of the range: sums saturate.
    RESNET_UNROLL
    for (int i = 0; i < 4; ++i) c[0][j][i] = j == 0 ? static_cast<int>(lane) * 4 + i : 0x7ffffff0;
  }
  dev::mma_s8(c, a, b);
  RESNET_UNROLL
  for (int i = 0; i < 8; ++i) own_words(p)[i] = static_cast<std::uint32_t>(c[0][i / 4][i % 4]);
}

/// 64 rows of 32 bytes; a 16-bit element holds its own index.
RESNET_DEVICE std::uint16_t* indexed_tile(dev::SharedArena& arena) {
  auto* const tile = arena.allocate<std::uint16_t>(64 * 16, 128);
  for (unsigned i = dev::thread_index(); i < 64 * 16; i += 32) tile[i] = static_cast<std::uint16_t>(i);
  dev::sync_threads();
  return tile;
}

RESNET_KERNEL(32, 1)
ldmatrix_a_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  const std::uint16_t* const tile = indexed_tile(arena);
  const unsigned lane = dev::lane();
  const void* const rows[2] = {tile + (lane % 16) * 16 + (lane / 16) * 8,
                               tile + (16 + lane % 16) * 16 + (lane / 16) * 8};
  std::uint32_t a[2][4];
  dev::ldmatrix_a(a, rows);
  RESNET_UNROLL
  for (int i = 0; i < 8; ++i) own_words(p)[i] = a[i / 4][i % 4];
}

RESNET_KERNEL(32, 1)
ldmatrix_b_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  const std::uint16_t* const tile = indexed_tile(arena);
  const unsigned lane = dev::lane();
  const unsigned row = lane % 8 + 8 * (lane / 16), chunk = lane / 8 % 2;
  const void* const rows[2] = {tile + row * 16 + chunk * 8, tile + (16 + row) * 16 + chunk * 8};
  std::uint32_t b[4][2];
  dev::ldmatrix_b(b, rows);
  RESNET_UNROLL
  for (int i = 0; i < 8; ++i) own_words(p)[i] = b[i / 2][i % 2];
}

RESNET_KERNEL(32, 1)
shuffle_kernel(RESNET_PARAMS(Params) p) {
  const auto lane = static_cast<int>(dev::lane());
  std::uint32_t* const out = own_words(p);
  const int value = 1000 + lane;
  out[0] = static_cast<std::uint32_t>(dev::shuffle(value, 5));
  out[1] = static_cast<std::uint32_t>(dev::shuffle(value, (lane * 7 + 3) % 32));
  out[2] = static_cast<std::uint32_t>(dev::shuffle(value, 11, 8));
  out[3] = static_cast<std::uint32_t>(dev::shuffle_xor(value, 1));
  out[4] = static_cast<std::uint32_t>(dev::shuffle_xor(value, 16));
  out[5] = static_cast<std::uint32_t>(dev::shuffle_xor(value, 4, 8));
  out[6] = static_cast<std::uint32_t>(dev::shuffle_down(value, 3));
  out[7] = static_cast<std::uint32_t>(dev::shuffle_down(value, 9, 16));
  out[8] = dev::ballot(lane % 3 == 0);
  out[9] = dev::to_bits(dev::warp_sum(static_cast<float>(lane)));
}

/// Lane l copies its first l % 17 bytes; the rest must become zero, and nothing beyond 16 bytes may change.
RESNET_KERNEL(32, 1)
cp_async_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  auto* const words = arena.allocate<std::uint32_t>(32 * 8, 16);
  const unsigned lane = dev::lane();
  for (unsigned i = 0; i < 8; ++i) words[lane * 8 + i] = 0xdeadbeefu;
  dev::sync_threads();
  dev::cp_async16(words + lane * 8, p.in + 4 * lane, static_cast<int>(lane % 17));
  dev::cp_async_commit();
  dev::cp_async4(words + lane * 8 + 4, p.in + 200 + lane, lane % 2 == 0 ? 4 : 0);
  dev::cp_async_commit();
  dev::cp_async_wait<1>();
  own_words(p)[8] = words[lane * 8];  // the older group is there
  dev::cp_async_wait<0>();
  dev::sync_threads();
  // A neighbour's words: the barrier has published them.
  for (unsigned i = 0; i < 8; ++i) own_words(p)[i] = words[(lane + 1) % 32 * 8 + i];
}

/// Vectors of 16, 8 and 4 bytes between global memory, shared memory and a neighbour.
RESNET_KERNEL(32, 1)
vector_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  auto* const words = arena.allocate<std::uint32_t>(32 * 4, 16);
  const unsigned lane = dev::lane(), next = (lane + 1) % 32;
  std::uint32_t* const out = own_words(p);
  const dev::Vec16 vector = dev::load16(p.in + 4 * lane);
  dev::store16(out, vector);
  dev::store16(words + 4 * next, vector);
  dev::sync_threads();
  const dev::Words2 pair = dev::load8(words + 4 * lane + 2);
  dev::store8(out + 4, pair.words[1], pair.words[0]);
  dev::store4(out + 6, dev::load4(words + 4 * lane + 1));
  out[7] = reinterpret_cast<const unsigned char*>(words)[16 * lane + 9];
  dev::sync_threads();
  dev::store8(words + 4 * next, 1000 + lane, 2000 + lane);
  dev::store4(words + 4 * next + 3, 3000 + lane);
  dev::sync_threads();
  dev::store16(out + 8, dev::load16(words + 4 * lane));
  dev::store8(out + 12, dev::load8(p.in + 2 * lane).words[0], dev::load4(p.in + 100 + lane));
}

/// Four warps: 1 and 2 leave words and go on, 3 meets warp 0 at a barrier of its own. Warp 0 must find all of them.
RESNET_KERNEL(128, 1)
named_barrier_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  auto* const words = arena.allocate<std::uint32_t>(128, 16);
  const unsigned thread = dev::thread_index();
  const int held_in_register = static_cast<int>(p.in[3] % 16);  // 3
  words[thread] = 0x100 * dev::warp() + dev::lane();
  if (dev::warp() == 1 || dev::warp() == 2) {
    dev::arrive_named(held_in_register, 96);
  } else if (dev::warp() == 3) {
    dev::sync_named(15, 64);
  } else {
    dev::sync_named(held_in_register, 96);
    own_words(p)[0] = words[32 + (thread + 1) % 32];
    own_words(p)[1] = words[64 + (thread + 2) % 32];
    dev::sync_named(15, 64);
    own_words(p)[2] = words[96 + (thread + 3) % 32];
  }
}

/// Neighbours' words behind a barrier of the warp, then of its halves in turn.
RESNET_KERNEL(32, 1)
sync_warp_kernel(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  auto* const words = arena.allocate<std::uint32_t>(64, 16);
  const unsigned lane = dev::lane();
  words[lane] = 500 + lane;
  dev::sync_warp();
  own_words(p)[0] = words[(lane + 7) % 32];
  words[32 + lane] = 700 + lane;
  if (lane < 16) {
    dev::sync_warp(0x0000ffffu);
    own_words(p)[1] = words[32 + (lane + 5) % 16];
  } else {
    dev::sync_warp(0xffff0000u);
    own_words(p)[1] = words[48 + (lane + 5) % 16];
  }
}

/// Each pattern against others. Of a NaN, only that it is one; of a zero, not its sign, which max_or_nan leaves open.
RESNET_KERNEL(32, 1)
max_or_nan_kernel(RESNET_PARAMS(Params) p) {
  const unsigned lane = dev::lane();
  const float own = dev::from_bits<float>(p.in[ramp_words + lane]);
  for (unsigned i = 0; i < 8; ++i) {
    const float other = dev::from_bits<float>(p.in[ramp_words + (lane + 1 + 4 * i) % 32]);
    const float larger = dev::max_or_nan(own, other);
    own_words(p)[i] = larger != larger ? 1u : larger == 0 ? 0u : dev::to_bits(larger);
  }
}

/// The patterns that the host put behind the ramp: fp32 values where conversions round, overflow, are denormal,
/// infinite or NaN.
RESNET_KERNEL(32, 1)
convert_kernel(RESNET_PARAMS(Params) p) {
  std::uint32_t* const out = own_words(p);
  const std::uint32_t bits = p.in[ramp_words + dev::lane()];
  const float value = dev::from_bits<float>(bits);
  const bool is_nan = value != value;
  const auto half = dev::from_float<dev::half>(value);
  const auto brain = dev::from_float<dev::bfloat16>(value);
  // Of a NaN, only that it is one.
  out[0] = is_nan ? 1u : half.bits;
  out[1] = is_nan ? 1u : brain.bits;
  out[2] = is_nan ? 1u : dev::to_bits(dev::to_float(half));
  out[3] = is_nan ? 1u : dev::to_bits(dev::to_float(brain));
  out[4] = is_nan ? 1u : dev::round_to_tf32(bits);
  out[5] = is_nan ? 1u : dev::from_float<std::uint8_t>(value);
  out[6] = dev::to_float(half) != dev::to_float(half);
  out[7] = dev::to_float(brain) != dev::to_float(brain);
  out[8] = is_nan ? 1u : dev::pack2<dev::half>(value, 1.0f);
}

/// Atomics of the 32 lanes on one word, in an order of the device's choice: sum and the set of values before.
RESNET_KERNEL(32, 1)
atomic_kernel(RESNET_PARAMS(Params) p) {
  std::uint32_t* const counter = p.out + 31 * max_words + 31;
  const std::uint32_t before = dev::atomic_add(counter, 1);
  own_words(p)[before < 32 ? 0 : 1] = before < 32;
}

/// What the matrix unit does with bits that fp32 sums lose: a large and a small product, 2^24 + 1 and more.
RESNET_KERNEL(32, 1)
mma_rounding_kernel(RESNET_PARAMS(Params) p) {
  std::uint32_t a[1][4], b[2][2];
  float c[1][2][4];
  RESNET_UNROLL
  for (int i = 0; i < 4; ++i) a[0][i] = dev::pack2<dev::half>(i == 0 ? 1.0f : 0.0f, i == 2 ? 0x1p-12f : 0.0f);
  RESNET_UNROLL
  for (int j = 0; j < 2; ++j) {
    RESNET_UNROLL
    for (int i = 0; i < 2; ++i) b[j][i] = dev::pack2<dev::half>(1.0f, 0x1p-12f);
    RESNET_UNROLL
    for (int i = 0; i < 4; ++i) c[0][j][i] = j == 0 ? 0x1.000002p0f : -0x1p24f;
  }
  dev::mma<dev::half>(c, a, b);
  RESNET_UNROLL
  for (int i = 0; i < 8; ++i) own_words(p)[i] = dev::to_bits(c[0][i / 4][i % 4]);
}

struct Recording {
  const char* name;
  void (*kernel)(Params);
  int words;     ///< per lane
  int least_sm;  ///< the first architecture that has the instruction
  bool exact = true;
  unsigned threads = 32;
};

// Budget: mma_kernel 64 registers
// Budget: mma_s8_kernel 64 registers
// Budget: mma_rounding_kernel 64 registers
// Budget: ldmatrix_a_kernel 64 registers, 2048 bytes of shared memory
// Budget: ldmatrix_b_kernel 64 registers, 2048 bytes of shared memory
// Budget: shuffle_kernel 64 registers
// Budget: cp_async_kernel 64 registers, 1024 bytes of shared memory
// Budget: vector_kernel 64 registers, 512 bytes of shared memory
// Budget: named_barrier_kernel 64 registers, 512 bytes of shared memory
// Budget: sync_warp_kernel 64 registers, 256 bytes of shared memory
// Budget: max_or_nan_kernel 64 registers
// Budget: convert_kernel 64 registers
// Budget: atomic_kernel 64 registers
const std::array recordings{
    Recording{"mma_f16", mma_kernel<dev::half>, 8, 75},
    Recording{"mma_bf16", mma_kernel<dev::bfloat16>, 8, 80},
    Recording{"mma_tf32", mma_kernel<dev::tf32>, 8, 80},
    Recording{"mma_s8", mma_s8_kernel, 8, 80},
    Recording{"ldmatrix_a", ldmatrix_a_kernel, 8, 75},
    Recording{"ldmatrix_b", ldmatrix_b_kernel, 8, 75},
    Recording{"shuffle", shuffle_kernel, 10, 75},
    Recording{"cp_async", cp_async_kernel, 9, 75},
    Recording{"vectors", vector_kernel, 14, 75},
    Recording{"named_barriers", named_barrier_kernel, 3, 75, true, 128},
    Recording{"sync_warp", sync_warp_kernel, 2, 75},
    Recording{"max_or_nan", max_or_nan_kernel, 8, 75},
    Recording{"convert", convert_kernel, 9, 75},
    Recording{"atomic", atomic_kernel, 2, 75},
    Recording{"mma_rounding", mma_rounding_kernel, 8, 75, false},
};

void check(cudaError_t error, const char* call) {
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(call) + ": " + cuda_api().cudaGetErrorString(error));
  }
}

std::string hexadecimal(const std::vector<std::uint32_t>& words, int per_lane) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (std::size_t lane = 0; lane < 32; ++lane) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(per_lane); ++i) {
      const std::uint32_t word = words[lane * max_words + i];
      if (!text.empty()) text += ' ';
      for (int shift = 28; shift >= 0; shift -= 4) text += digits[word >> shift & 15u];
    }
  }
  return text;
}

}  // namespace

std::string record_primitives() {
  const CudaApi& api = cuda_api();
  cudaDeviceProp properties = {};
  int device = 0;
  check(api.cudaGetDevice(&device), "cudaGetDevice");
  check(api.cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  const int sm = properties.major * 10 + properties.minor;
  std::vector<std::uint32_t> input, words(32 * max_words);
  for (std::uint32_t i = 0; i < ramp_words; ++i) input.push_back(0x01010101u * i);
  input.insert(input.end(), patterns.begin(), patterns.end());
  void *in = nullptr, *out = nullptr;
  check(api.cudaMalloc(&in, input.size() * 4), "cudaMalloc");
  check(api.cudaMalloc(&out, words.size() * 4), "cudaMalloc");
  check(api.cudaMemcpy(in, input.data(), input.size() * 4, cudaMemcpyHostToDevice), "cudaMemcpy");
  const auto record = [&](const Recording& recording) {
    check(api.cudaMemset(out, 0, words.size() * 4), "cudaMemset");
    Params params;
    params.in = static_cast<const std::uint32_t*>(in);
    params.out = static_cast<std::uint32_t*>(out);
    kernels::LaunchShape shape;
    shape.threads = recording.threads;
    shape.shared_bytes = 4096;
    check(kernels::launch_kernel(recording.name, recording.kernel, shape, nullptr, params), recording.name);
    check(api.cudaDeviceSynchronize(), recording.name);
    check(api.cudaMemcpy(words.data(), out, words.size() * 4, cudaMemcpyDeviceToHost), recording.name);
    return hexadecimal(words, recording.words);
  };
  Json result = Json::object(), exact = Json::object(), inexact = Json::object();
  result.set("device", properties.name);
  result.set("sm", sm);
  try {
    for (const Recording& recording : recordings) {
      if (sm >= recording.least_sm) (recording.exact ? exact : inexact).set(recording.name, record(recording));
    }
    check(api.cudaFree(in), "cudaFree");
    check(api.cudaFree(out), "cudaFree");
  } catch (const std::runtime_error& error) {
    result.set("error", std::string(error.what()));  // it may stick, so nothing behind it can be recorded
  }
  result.set("exact", std::move(exact));
  result.set("inexact", std::move(inexact));
  return result.dump(1);
}

}  // namespace resnet::test
