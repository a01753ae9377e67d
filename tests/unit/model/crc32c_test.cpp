#include "model/crc32c.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string_view>
#include <vector>

#include "model/model_file.hpp"

namespace resnet {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// The definition, bit by bit.
std::uint32_t crc32c_definition(std::uint32_t crc, std::span<const std::byte> bytes) {
  std::uint32_t r = ~crc;
  for (const std::byte byte : bytes) {
    r ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) r = (r >> 1) ^ ((r & 1u) != 0 ? 0x82F63B78u : 0u);
  }
  return ~r;
}

TEST(Crc32c, HasTheValuesOfTheFormatDocument) {
  EXPECT_EQ(crc32c(0, bytes_of("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c(0, bytes_of("")), 0u);
  EXPECT_EQ(crc32c(0, bytes_of(std::string(32, '\0'))), 0x8a9136aau);
}

TEST(Crc32c, TableAndInstructionFollowTheDefinition) {
  if (!crc32c_hardware_available()) GTEST_SKIP() << "this CPU has no crc32 instruction";
  std::mt19937 random(1);
  std::vector<std::byte> data(20'000);
  for (std::byte& byte : data) byte = static_cast<std::byte>(random());
  // Around the lengths where the loops of 8 bytes and of 3 x 1024 bytes begin and end, at every alignment.
  for (const std::size_t size : {0u, 1u, 7u, 8u, 9u, 1024u, 3071u, 3072u, 3073u, 6143u, 6144u, 6145u, 9216u, 19'000u}) {
    for (std::size_t offset = 0; offset < 9; ++offset) {
      const auto bytes = std::span<const std::byte>(data).subspan(offset, size);
      const auto before = static_cast<std::uint32_t>(random());
      const std::uint32_t expected = crc32c_definition(before, bytes);
      EXPECT_EQ(crc32c_table(before, bytes), expected) << size << " bytes at " << offset;
      EXPECT_EQ(crc32c_hardware(before, bytes), expected) << size << " bytes at " << offset;
    }
  }
}

TEST(Crc32c, OfPiecesIsThatOfTheWhole) {
  const std::string text(10'000, 'x');
  std::uint32_t crc = 0;
  for (std::size_t at = 0; at < text.size(); at += 777)
    crc = crc32c(crc, bytes_of(std::string_view(text).substr(at, 777)));
  EXPECT_EQ(crc, crc32c(0, bytes_of(text)));
}

}  // namespace
}  // namespace resnet
