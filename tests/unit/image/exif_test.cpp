#include "image/exif.hpp"

#include <gtest/gtest.h>

#include "unit/image/golden.hpp"

namespace resnet::test {
namespace {

/// A TIFF structure whose first directory holds one other entry and the orientation.
std::vector<std::uint8_t> tiff(int orientation, bool little) {
  std::vector<std::uint8_t> bytes;
  const auto put = [&](std::uint32_t value, int width) {
    for (int i = 0; i < width; ++i) {
      bytes.push_back(static_cast<std::uint8_t>(value >> 8 * (little ? i : width - 1 - i)));
    }
  };
  bytes.assign(2, little ? 'I' : 'M');
  put(42, 2);
  put(8, 4);
  put(2, 2);  // entries
  put(0x010f, 2), put(2, 2), put(4, 4), put(0, 4);
  put(0x0112, 2), put(3, 2), put(1, 4), put(static_cast<std::uint32_t>(orientation), 2), put(0, 2);
  put(0, 4);  // no further directory
  return bytes;
}

std::vector<std::uint8_t> jpeg_with_exif(const std::vector<std::uint8_t>& structure) {
  std::vector<std::uint8_t> jpeg = read_golden("baseline-422.jpg");
  std::vector<std::uint8_t> segment = {0xff, 0xe1, 0, 0, 'E', 'x', 'i', 'f', 0, 0};
  segment.insert(segment.end(), structure.begin(), structure.end());
  segment[2] = static_cast<std::uint8_t>((segment.size() - 2) >> 8);
  segment[3] = static_cast<std::uint8_t>(segment.size() - 2);
  jpeg.insert(jpeg.begin() + 2, segment.begin(), segment.end());
  return jpeg;
}

std::vector<std::uint8_t> png_with_exif(const std::vector<std::uint8_t>& structure) {
  std::vector<std::uint8_t> png = read_golden("rgb.png");
  std::vector<std::uint8_t> typed = {'e', 'X', 'I', 'f'};
  typed.insert(typed.end(), structure.begin(), structure.end());
  std::vector<std::uint8_t> chunk;
  const auto put = [&](std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) chunk.push_back(static_cast<std::uint8_t>(value >> shift));
  };
  put(static_cast<std::uint32_t>(structure.size()));
  chunk.insert(chunk.end(), typed.begin(), typed.end());
  put(crc32(typed));
  png.insert(png.begin() + 33, chunk.begin(), chunk.end());  // behind IHDR
  return png;
}

TEST(Exif, OrientationIsIgnoredUnlessAskedFor) {
  const Image plain = decode_image(read_golden("baseline-422.jpg"));
  for (int orientation = 1; orientation <= 8; ++orientation) {
    EXPECT_EQ(decode_image(jpeg_with_exif(tiff(orientation, true))).pixels, plain.pixels) << orientation;
  }
}

TEST(Exif, TurnsAPngAsPillowsExifTransposeDoes) {
  const auto records = read_golden_json("exif.json");
  ASSERT_EQ(records.size(), 8u);
  for (const Json& record : records) {
    const auto& field = record.as_array();
    const int orientation = static_cast<int>(field[0].as_int());
    for (const bool little : {true, false}) {
      const auto bytes = png_with_exif(tiff(orientation, little));
      const Image turned = decode_image(bytes, {ColorMode::rgb, true});
      EXPECT_EQ(turned.height, field[1].as_int()) << orientation;
      EXPECT_EQ(turned.width, field[2].as_int()) << orientation;
      EXPECT_EQ(crc32(turned.pixels), field[3].as_int()) << orientation;
      EXPECT_EQ(decode_image(bytes).pixels, decode_image(read_golden("rgb.png")).pixels)
          << "turned without being asked";
    }
  }
}

TEST(Exif, TurnsAJpegTheSameWay) {
  Image plain = decode_image(read_golden("baseline-422.jpg"));
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool little : {true, false}) {
      const Image turned = decode_image(jpeg_with_exif(tiff(orientation, little)), {ColorMode::rgb, true});
      std::vector<std::uint8_t> expected(plain.pixels.size());
      const Raster upright =
          turn_upright({plain.height, plain.width, 3, plain.pixels.data()}, orientation, expected.data());
      EXPECT_EQ(turned.height, upright.height) << orientation;
      EXPECT_EQ(turned.width, upright.width) << orientation;
      EXPECT_EQ(turned.pixels, expected) << orientation;
    }
  }
}

TEST(Exif, TurnsGreyPicturesToo) {
  const auto bytes = jpeg_with_exif(tiff(6, true));
  const Image lying = decode_image(bytes, {ColorMode::gray, false});
  const Image upright = decode_image(bytes, {ColorMode::gray, true});
  ASSERT_EQ(upright.height, lying.width);
  for (std::int64_t x = 0; x < lying.width; ++x) {  // clockwise: the bottom row becomes the left column
    const auto bottom = static_cast<std::size_t>((lying.height - 1) * lying.width + x);
    EXPECT_EQ(upright.pixels[static_cast<std::size_t>(x * upright.width)], lying.pixels[bottom]);
  }
}

TEST(Exif, DamagedMetadataMeansNoRotation) {
  const auto whole = tiff(6, true);
  ASSERT_EQ(exif_orientation(whole), 6);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const int got = exif_orientation(std::span(whole).first(length));
    EXPECT_TRUE(got == 1 || got == 6) << length;
  }
  for (const int value : {0, 9, 255, 65535}) EXPECT_EQ(exif_orientation(tiff(value, true)), 1) << value;
  auto far = whole;
  far[4] = far[5] = far[6] = far[7] = 0xff;  // a directory far behind the end
  EXPECT_EQ(exif_orientation(far), 1);
  auto many = whole;
  many[8] = many[9] = 0xff;  // 65535 entries of which two exist
  many[22] = 0;              // and no orientation among them
  EXPECT_EQ(exif_orientation(many), 1);
}

}  // namespace
}  // namespace resnet::test
