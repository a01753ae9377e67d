#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "image/decoders.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"
#include "unit/image/golden.hpp"

namespace resnet::test {
namespace {

bool decodes_exactly(const std::string& name) {
  return !(name.ends_with(".jpg") && jpeg_decoder_name() == "stb_image");
}

TEST(Decode, EqualsPillowByteForByteInColourAndGrey) {
  const auto records = read_golden_json("decode.json");
  ASSERT_GT(records.size(), 50u);
  int compared = 0;
  for (const Json& record : records) {
    const std::string name = record.at("file").as_string();
    if (!decodes_exactly(name)) continue;
    ++compared;
    const auto bytes = read_golden(name);
    const Image rgb = decode_image(bytes, {}, name);
    EXPECT_EQ(rgb.height, record.at("height").as_int()) << name;
    EXPECT_EQ(rgb.width, record.at("width").as_int()) << name;
    EXPECT_EQ(rgb.channels, 3) << name;
    EXPECT_EQ(crc32(rgb.pixels), record.at("rgb").as_int()) << name << " as RGB";
    const Image gray = decode_image(bytes, {ColorMode::gray, false}, name);
    EXPECT_EQ(gray.channels, 1) << name;
    EXPECT_EQ(crc32(gray.pixels), record.at("gray").as_int()) << name << " as grey";
  }
  EXPECT_GT(compared, 25);
}

/// With libjpeg-turbo the difference is zero; stb_image rounds elsewhere and interpolates chroma a little differently.
/// It also mixes the last two chroma columns of 4:2:2 in the wrong proportion, which shows in the last two pixel
/// columns.
TEST(Decode, JpegIsWithinTheDocumentedDistanceOfPillow) {
  for (const std::string name :
       {"baseline-444", "baseline-422", "baseline-420", "progressive-420", "gray", "cmyk-adobe"}) {
    const Image expected = load_image(golden_path(name + ".pixels.png"));
    const Image got = load_image(golden_path(name + ".jpg"));
    ASSERT_EQ(got.pixels.size(), expected.pixels.size()) << name;
    const bool exact = decodes_exactly(name + ".jpg");
    int largest = 0;
    double sum = 0;
    for (std::size_t i = 0; i < got.pixels.size(); ++i) {
      const int difference = std::abs(got.pixels[i] - expected.pixels[i]);
      const std::int64_t column = static_cast<std::int64_t>(i / 3) % got.width;
      if (exact || column < got.width - 2) largest = std::max(largest, difference);
      sum += difference;
    }
    const double mean = sum / static_cast<double>(got.pixels.size());
    EXPECT_LE(largest, exact ? 0 : 8) << name;
    EXPECT_LE(mean, exact ? 0 : 0.6) << name;
  }
}

TEST(Decode, TellsTheFormatFromTheContentAndNotFromTheName) {
  const ScratchFolder folder;
  const std::string path = folder / "picture.jpg";
  write_bytes(path, std::as_bytes(std::span<const std::uint8_t>(read_golden("rgb.png"))));
  EXPECT_EQ(load_image(path).pixels, load_image(golden_path("rgb.png")).pixels);
}

TEST(Decode, SixteenThreadsGetTheSamePixels) {
  const std::vector<std::string> names = {"progressive-420.jpg", "cmyk-adobe.jpg", "rgba-16-interlaced.png",
                                          "palette-4.png",       "rgb.bmp",        "baseline-422.jpg"};
  std::vector<std::vector<std::uint8_t>> files;
  std::vector<Image> expected;
  for (const auto& name : names) {
    files.push_back(read_golden(name));
    expected.push_back(decode_image(files.back()));
  }
  // A damaged file among them: error texts must not be shared either.
  std::vector<std::uint8_t> damaged = files[2];
  damaged.resize(damaged.size() / 2);
  std::atomic<int> wrong{0};
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 12; ++i) {
        const std::size_t which = (t + i) % files.size();
        if (decode_image(files[which]).pixels != expected[which].pixels) ++wrong;
        try {
          (void)decode_image(damaged);
          ++wrong;
        } catch (const Error& error) {
          if (error.code() != ErrorCode::image_corrupt) ++wrong;
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace resnet::test
