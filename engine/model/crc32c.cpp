#include "model/crc32c.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "model/model_file.hpp"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace resnet {
namespace {

static_assert(std::endian::native == std::endian::little, "the model file is read as little endian");

constexpr std::uint32_t polynomial = 0x82F63B78u;

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

/// table[k][b]: what byte b does to the register when k more zero bytes follow it.
constexpr Table make_tables() {
  Table tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t r = b;
    for (int bit = 0; bit < 8; ++bit) r = (r >> 1) ^ ((r & 1u) != 0 ? polynomial : 0u);
    tables[0][b] = r;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) {
      const std::uint32_t r = tables[k - 1][b];
      tables[k][b] = (r >> 8) ^ tables[0][r & 0xFFu];
    }
  }
  return tables;
}
constexpr Table tables = make_tables();

std::uint64_t load64(const std::byte* p) noexcept {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

}  // namespace

std::uint32_t crc32c_table(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  const std::byte* p = bytes.data();
  std::size_t n = bytes.size();
  std::uint32_t r = ~crc;
  for (; n >= 8; p += 8, n -= 8) {
    const std::uint64_t word = load64(p) ^ r;
    r = 0;
    for (std::size_t k = 0; k < 8; ++k) r ^= tables[7 - k][(word >> (8 * k)) & 0xFFu];
  }
  for (; n > 0; ++p, --n) r = (r >> 8) ^ tables[0][(r ^ std::to_integer<std::uint32_t>(*p)) & 0xFFu];
  return ~r;
}

#if defined(__x86_64__)
namespace {

/// The crc32 instruction has a latency of three cycles and a throughput of one, so three independent streams of this
/// many bytes run side by side and are joined afterwards.
constexpr std::size_t stream_bytes = 1024;

/// A linear map of the register: images of its 32 bits.
using BitMap = std::array<std::uint32_t, 32>;

constexpr std::uint32_t apply_map(const BitMap& map, std::uint32_t r) {
  std::uint32_t out = 0;
  for (std::size_t bit = 0; bit < 32; ++bit) {
    if (((r >> bit) & 1u) != 0) out ^= map[bit];
  }
  return out;
}

/// Moves the register over stream_bytes zero bytes, as four table look-ups.
constexpr std::array<std::array<std::uint32_t, 256>, 4> make_skip() {
  BitMap map{};  // one zero byte
  for (std::size_t bit = 0; bit < 32; ++bit) {
    const std::uint32_t r = 1u << bit;
    map[bit] = (r >> 8) ^ tables[0][r & 0xFFu];
  }
  for (std::size_t bytes = 1; bytes < stream_bytes; bytes *= 2) {
    BitMap twice{};
    for (std::size_t bit = 0; bit < 32; ++bit) twice[bit] = apply_map(map, map[bit]);
    map = twice;
  }
  std::array<std::array<std::uint32_t, 256>, 4> skip{};
  for (std::uint32_t k = 0; k < 4; ++k) {
    for (std::uint32_t b = 0; b < 256; ++b) skip[k][b] = apply_map(map, b << (8 * k));
  }
  return skip;
}
constexpr auto skip_tables = make_skip();

std::uint32_t skip_stream(std::uint64_t r) noexcept {
  return skip_tables[0][r & 0xFFu] ^ skip_tables[1][(r >> 8) & 0xFFu] ^ skip_tables[2][(r >> 16) & 0xFFu] ^
         skip_tables[3][(r >> 24) & 0xFFu];
}

}  // namespace

bool crc32c_hardware_available() noexcept { return __builtin_cpu_supports("sse4.2") != 0; }

[[gnu::target("sse4.2")]] std::uint32_t crc32c_hardware(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  const std::byte* p = bytes.data();
  std::size_t n = bytes.size();
  std::uint64_t r = ~crc;
  for (; n >= 3 * stream_bytes; p += 3 * stream_bytes, n -= 3 * stream_bytes) {
    std::uint64_t second = 0, third = 0;
    for (std::size_t i = 0; i < stream_bytes; i += 8) {
      r = _mm_crc32_u64(r, load64(p + i));
      second = _mm_crc32_u64(second, load64(p + stream_bytes + i));
      third = _mm_crc32_u64(third, load64(p + 2 * stream_bytes + i));
    }
    r = skip_stream(r) ^ second;
    r = skip_stream(r) ^ third;
  }
  for (; n >= 8; p += 8, n -= 8) r = _mm_crc32_u64(r, load64(p));
  auto tail = static_cast<std::uint32_t>(r);
  for (; n > 0; ++p, --n) tail = _mm_crc32_u8(tail, std::to_integer<unsigned char>(*p));
  return ~tail;
}
#else
bool crc32c_hardware_available() noexcept { return false; }
std::uint32_t crc32c_hardware(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  return crc32c_table(crc, bytes);
}
#endif

std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  static const auto implementation = crc32c_hardware_available() ? crc32c_hardware : crc32c_table;
  return implementation(crc, bytes);
}

}  // namespace resnet
