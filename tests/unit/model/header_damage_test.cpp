// Files that are cut or flipped anywhere: an error or a model, never anything else.
#include <gtest/gtest.h>

#include <random>

#include "golden/golden_model.hpp"
#include "unit/model/model_bytes.hpp"

namespace resnet::testing {
namespace {

std::vector<float> read_all(const ModelFile& model) {
  std::vector<float> values;
  for (const StoredTensor& tensor : model.header().tensors) {
    std::vector<float> some(tensor.bytes / size_of(tensor.dtype));
    model.read_f32(tensor, some);
    values.insert(values.end(), some.begin(), some.end());
  }
  return values;
}

TEST(DamagedFiles, CutAtAnyByteAreTruncatedOrHaveABadHeader) {
  const Bytes whole = GoldenModel(DType::f32).file();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Error error = refusal(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    EXPECT_EQ(error.code(), ErrorCode::truncated) << "cut to " << size << " bytes: " << error.what();
  }
}

TEST(DamagedFiles, WithOneFlippedHeaderBitAreRefusedOrWhole) {
  const Bytes whole = GoldenModel(DType::f32).file();
  const std::vector<float> values = read_all(*ModelFile::from_memory(whole, "good.rne"));
  const std::size_t header_end = 8 + header_of(whole).size();
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < header_end * 8; ++bit) {
    Bytes flipped = whole;
    flipped[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    try {
      const auto model = ModelFile::from_memory(std::move(flipped), "flipped.rne");
      EXPECT_EQ(read_all(*model).size(), values.size());
    } catch (const Error& error) {
      ++refused;
      EXPECT_NE(error.code(), ErrorCode::internal) << "bit " << bit << ": " << error.what();
    }
  }
  // What stays legal are letters of names, labels and provenance, digits of attributes, and order of magnitude of eps.
  EXPECT_GT(refused, header_end * 8 / 2);
}

TEST(DamagedFiles, WithOneFlippedDataBitFailTheirChecksum) {
  const Bytes whole = GoldenModel(DType::bf16).file();
  for (std::size_t byte = 8 + header_of(whole).size(); byte < whole.size(); ++byte) {
    Bytes flipped = whole;
    flipped[byte] ^= static_cast<std::byte>(1u << (byte % 8));
    const auto model = ModelFile::from_memory(std::move(flipped), "flipped.rne");
    const Error error = error_of([&] { read_all(*model); });
    EXPECT_EQ(error.code(), ErrorCode::checksum) << "byte " << byte << ": " << error.what();
  }
}

TEST(DamagedFiles, OfRandomBytesUnderAValidLengthNeverCrash) {
  std::mt19937 random(7);
  const std::string letters = "{}[]\",:0123456789.eE-\\ \tabnrtu";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "{";
    for (std::size_t i = random() % 40; i > 0; --i) text += letters[random() % letters.size()];
    EXPECT_NE(refusal(with_header(Bytes(8), text + "}")).code(), ErrorCode::internal) << text;
  }
}

}  // namespace
}  // namespace resnet::testing
