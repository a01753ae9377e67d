// Bad pictures: an error that says where and what to do, never pixels, never long.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <random>

#include "image/decoders.hpp"
#include "image/limits.hpp"
#include "image/memory_errors.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"
#include "unit/image/golden.hpp"

namespace resnet::test {
namespace {

using namespace std::string_view_literals;
using Bytes = std::vector<std::uint8_t>;

bool jpeg_is_exact() { return jpeg_decoder_name() != "stb_image"; }
bool png_is_exact() { return png_decoder_name() != "stb_image"; }

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

void expect_helpful(const Error& error, const std::string& where) {
  EXPECT_EQ(error.where(), where) << error.what();
  EXPECT_FALSE(error.next().empty()) << error.what();
}

Error decode_error(const Bytes& bytes, const std::string& where = "picture") {
  const Error error = error_of([&] { (void)decode_image(bytes, {}, where); });
  expect_helpful(error, where);
  return error;
}

double seconds(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void put_big_endian(Bytes& bytes, std::size_t offset, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[offset + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

/// Changes a PNG's IHDR and repairs its checksum.
Bytes with_png_size(Bytes png, std::uint32_t width, std::uint32_t height) {
  put_big_endian(png, 16, width);
  put_big_endian(png, 20, height);
  put_big_endian(png, 29, crc32(std::span(png).subspan(12, 17)));
  return png;
}

std::size_t find(const Bytes& bytes, std::string_view text) {
  const auto at = std::search(bytes.begin(), bytes.end(), text.begin(), text.end(),
                              [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); });
  EXPECT_NE(at, bytes.end()) << "pattern not found";
  return static_cast<std::size_t>(at - bytes.begin());
}

TEST(DamagedPictures, TruncatedAtAnyByteAreErrors) {
  for (const std::string name :
       {"baseline-422.jpg", "restart-420.jpg", "progressive-420.jpg", "gray.jpg", "cmyk-adobe.jpg", "rgb.png",
        "palette-4.png", "rgb-16.png", "gray-8-interlaced.png", "animated.png", "rgb.bmp", "palette.bmp"}) {
    const Bytes whole = read_golden(name);
    ASSERT_NO_THROW((void)decode_image(whole, {}, name)) << name;
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      try {
        (void)decode_image(part, {}, name);
        ADD_FAILURE() << name << " cut to " << length << " of " << whole.size() << " bytes gave pixels";
      } catch (const Error& error) {
        const bool expected =
            error.code() == ErrorCode::image_corrupt || (length < 16 && error.code() == ErrorCode::image_unsupported);
        EXPECT_TRUE(expected) << name << " cut to " << length << ": " << error.what();
      }
    }
  }
}

TEST(DamagedPictures, NeverBreakTheReader) {
  std::mt19937 random(7);
  for (const std::string suffix : {".jpg", ".png", ".bmp"}) {
    for (const std::string& name : golden_files(suffix)) {
      const Bytes whole = read_golden(name);
      for (int round = 0; round < 40; ++round) {
        Bytes bytes = whole;
        const int flips = 1 + static_cast<int>(random() % 4);
        for (int i = 0; i < flips; ++i) bytes[random() % bytes.size()] ^= static_cast<std::uint8_t>(1u << random() % 8);
        try {
          const Image image = decode_image(bytes, {ColorMode::rgb, true}, name);
          EXPECT_EQ(image.pixels.size(), static_cast<std::size_t>(image.height * image.width * 3));
        } catch (const Error& error) {
          EXPECT_EQ(error.where(), name);
        }
      }
    }
  }
}

TEST(DamagedPictures, HalfAJpegWithAnEndMarkerIsAnError) {
  if (!jpeg_is_exact()) GTEST_SKIP() << "stb_image does not notice this; docs/preprocessing.md says so";
  for (const std::string name : {"baseline-420.jpg", "progressive-444.jpg", "gray.jpg"}) {
    Bytes bytes = read_golden(name);
    bytes.resize(bytes.size() * 2 / 3);
    bytes.insert(bytes.end(), {0xff, 0xd9});
    EXPECT_EQ(decode_error(bytes).code(), ErrorCode::image_corrupt) << name;
  }
}

TEST(DamagedPictures, ALostRestartMarkerIsAnError) {
  Bytes bytes = read_golden("restart-420.jpg");
  const std::size_t at = find(bytes, "\xff\xd1"sv);
  bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(at + 2));
  EXPECT_EQ(decode_error(bytes).code(), ErrorCode::image_corrupt);
}

TEST(DamagedPictures, StrayBytesBetweenJpegSegmentsAreAnError) {
  Bytes bytes = read_golden("gray.jpg");
  bytes.insert(bytes.begin() + 2, 0x00);
  EXPECT_EQ(decode_error(bytes).code(), ErrorCode::image_unsupported);  // no longer a JPEG signature
  bytes = read_golden("gray.jpg");
  bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(find(bytes, "\xff\xdb"sv)), 0x55);
  EXPECT_EQ(decode_error(bytes).code(), ErrorCode::image_corrupt);
}

TEST(DamagedPictures, BytesBehindTheEndMarkerAreNoError) {
  for (const std::string name : {"baseline-420.jpg", "rgb.png", "rgb.bmp"}) {
    Bytes bytes = read_golden(name);
    const Image plain = decode_image(bytes);
    bytes.insert(bytes.end(), {1, 2, 3, 4});
    EXPECT_EQ(decode_image(bytes).pixels, plain.pixels) << name;
  }
}

TEST(DamagedPictures, AWrongChecksumInAnyPngChunkIsAnError) {
  const Bytes whole = read_golden("gamma-profile-text.png");
  for (const std::string_view type : {"IHDR"sv, "gAMA"sv, "iCCP"sv, "tEXt"sv, "IDAT"sv, "IEND"sv}) {
    Bytes bytes = whole;
    const std::size_t at = find(bytes, type);
    const std::size_t length = bytes[at - 2] * 256u + bytes[at - 1];
    bytes[at + 4 + length] ^= 1;
    EXPECT_EQ(decode_error(bytes).code(), ErrorCode::image_corrupt) << type;
  }
}

TEST(DamagedPictures, AWrongAdlerChecksumOfPngPixelsIsAnError) {
  if (!png_is_exact()) GTEST_SKIP() << "stb_image does not check it; docs/preprocessing.md says so";
  Bytes bytes = read_golden("gray-1.png");  // one IDAT chunk
  const std::size_t at = find(bytes, "IDAT"sv);
  const std::size_t length = bytes[at - 2] * 256u + bytes[at - 1];
  bytes[at + 4 + length - 1] ^= 1;  // last byte of the zlib stream
  put_big_endian(bytes, at + 4 + length, crc32(std::span(bytes).subspan(at, 4 + length)));
  EXPECT_EQ(decode_error(bytes).code(), ErrorCode::image_corrupt);
}

TEST(DamagedPictures, APalettePngWithoutPaletteIsAnError) {
  Bytes bytes = read_golden("palette-4.png");
  const std::size_t at = find(bytes, "PLTE"sv);
  bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at - 4),
              bytes.begin() + static_cast<std::ptrdiff_t>(at + 4 + 48 + 4));
  EXPECT_EQ(decode_error(bytes).code(), ErrorCode::image_corrupt);
}

TEST(PictureLimits, StopBombsBeforePixelsAreAllocated) {
  const Bytes png = read_golden("rgb.png"), jpeg = read_golden("baseline-444.jpg"), bmp = read_golden("rgb.bmp");
  std::vector<Bytes> bombs = {with_png_size(png, 16384, 16384), with_png_size(png, 65535, 1),
                              with_png_size(png, 1, 65535), with_png_size(png, 0x7fffffff, 0x7fffffff)};
  Bytes wide = jpeg;
  const std::size_t frame = find(wide, "\xff\xc0"sv);
  wide[frame + 5] = wide[frame + 6] = wide[frame + 7] = wide[frame + 8] = 0xff;  // 65535 x 65535
  bombs.push_back(wide);
  Bytes flat = bmp;
  flat[18] = flat[19] = flat[22] = flat[23] = 0xff;
  bombs.push_back(flat);
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  const double time = seconds([&] {
    for (const Bytes& bomb : bombs) EXPECT_EQ(decode_error(bomb).code(), ErrorCode::image_limit);
  });
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(time, 1.0);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 16 * 1024) << "KiB grown";
}

TEST(PictureLimits, StopAJpegWithTwentyThousandScans) {
  const Bytes whole = read_golden("gray-progressive.jpg");
  const std::size_t last_scan = [&] {
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < whole.size(); ++i)
      if (whole[i] == 0xff && whole[i + 1] == 0xda) at = i;
    return at;
  }();
  const Bytes scan(whole.begin() + static_cast<std::ptrdiff_t>(last_scan), whole.end() - 2);
  Bytes bomb(whole.begin(), whole.end() - 2);
  for (int i = 0; i < 20'000; ++i) bomb.insert(bomb.end(), scan.begin(), scan.end());
  bomb.insert(bomb.end(), {0xff, 0xd9});
  Error error(ErrorCode::internal, "");
  EXPECT_LT(seconds([&] { error = decode_error(bomb); }), 1.0);
  EXPECT_EQ(error.code(), ErrorCode::image_limit) << error.what();
}

TEST(PictureLimits, CountJpegScansAgainstTheNumberOfPixelsToo) {
  // A real progressive file of 64 Mi pixels with its ten scans passes; 17 scans would not.
  EXPECT_GE(max_jpeg_scan_pixels / max_image_pixels, 16);
  EXPECT_LE(max_jpeg_scan_pixels / max_image_pixels, 32);
}

TEST(PictureLimits, StopFilesAndBuffersBeyond64MiB) {
  const ScratchFolder folder;
  const std::string path = folder / "large.jpg";
  write_bytes(path, std::as_bytes(std::span<const std::uint8_t>(bytes_of("\xff\xd8\xff"sv))));
  std::filesystem::resize_file(path, max_image_file_bytes + 1);
  const Error error = error_of([&] { (void)load_image(path); });
  EXPECT_EQ(error.code(), ErrorCode::image_limit);
  expect_helpful(error, path);
  EXPECT_EQ(decode_error(Bytes(max_image_file_bytes + 1)).code(), ErrorCode::image_limit);
}

TEST(UnsupportedPictures, AreRefusedByName) {
  const std::pair<std::string_view, std::string_view> heads[] = {
      {"GIF89a\1\0\1\0"sv, "GIF"},
      {"RIFF\0\0\0\0WEBPVP8 "sv, "WebP"},
      {"II*\0\x08\0\0\0"sv, "TIFF"},
      {"MM\0*\0\0\0\x08"sv, "TIFF"},
      {"\0\0\0\x20"
       "ftypavif"sv,
       "AVIF"},
      {"\0\0\0\x20"
       "ftypheic"sv,
       "HEIC"},
      {"\0\0\0\x20"
       "ftypmif1"sv,
       "HEIF"},
      {"\xff\x0a\0\0"sv, "JPEG XL"},
      {"\0\0\0\x0cjP  \r\n"sv, "JPEG 2000"},
      {"8BPS\0\1"sv, "PSD"},
      {"P6\n2 2\n255\n"sv, "PNM"},
      {"#?RADIANCE\n"sv, "Radiance HDR"},
      {"qoif\0\0"sv, "QOI"},
      {"%PDF-1.4"sv, "PDF"},
      {"<svg xmlns"sv, "SVG"},
      {"\x93NUMPY\1\0"sv, "NumPy"},
  };
  for (const auto& [head, name] : heads) {
    const Error error = decode_error(bytes_of(head));
    EXPECT_EQ(error.code(), ErrorCode::image_unsupported);
    EXPECT_NE(error.message().find(name), std::string::npos) << error.what();
    EXPECT_NE(error.next().find("PNG"), std::string::npos) << error.what();
  }
}

TEST(UnsupportedPictures, IncludeTextAndOtherContent) {
  for (const std::string_view content : {"hello\n"sv, "BM is how this text begins, but it is no picture"sv, "\xff"sv,
                                         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv, "\x89PNG"sv}) {
    EXPECT_EQ(decode_error(bytes_of(content)).code(), ErrorCode::image_unsupported) << content;
  }
}

TEST(UnsupportedPictures, IncludeRareJpegKinds) {
  const Bytes whole = read_golden("baseline-444.jpg");
  const std::size_t frame = find(whole, "\xff\xc0"sv);
  Bytes deep = whole;
  deep[frame + 4] = 12;
  Bytes lossless = whole;
  lossless[frame + 1] = 0xc3;
  Bytes hierarchical = whole;
  hierarchical[frame + 1] = 0xc5;
  for (const auto& [bytes, name] :
       {std::pair{deep, "12-bit"}, {lossless, "Lossless"}, {hierarchical, "Hierarchical"}}) {
    const Error error = decode_error(bytes);
    EXPECT_EQ(error.code(), ErrorCode::image_unsupported);
    EXPECT_NE(error.message().find(name), std::string::npos) << error.what();
  }
}

TEST(UnsupportedPictures, IncludeSixteenBitGreyPng) {
  Bytes bytes = read_golden("gray-8.png");
  bytes[24] = 16;
  put_big_endian(bytes, 29, crc32(std::span(bytes).subspan(12, 17)));
  const Error error = decode_error(bytes);
  EXPECT_EQ(error.code(), ErrorCode::image_unsupported);
  EXPECT_NE(error.message().find("16-bit grey"), std::string::npos) << error.what();
}

TEST(UnsupportedPictures, IncludeCompressedBmp) {
  Bytes bytes = read_golden("palette.bmp");
  bytes[30] = 1;  // RLE8
  EXPECT_EQ(decode_error(bytes).code(), ErrorCode::image_unsupported);
}

TEST(PictureFiles, ThatCannotBeReadAreNamedWithoutWaiting) {
  const ScratchFolder folder;
  const std::string fifo = folder / "pipe";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& path : {fifo, folder / "missing.jpg", folder.path(), std::string("/dev/zero"),
                                  std::string("/dev/full"), std::string()}) {
    Error error(ErrorCode::internal, "");
    EXPECT_LT(seconds([&] { error = error_of([&] { (void)load_image(path); }); }), 1.0) << path;
    EXPECT_EQ(error.code(), ErrorCode::io) << error.what();
    expect_helpful(error, path);
  }
}

TEST(PictureMemory, ThatIsExhaustedIsAnErrorOfThisLibrary) {
  const Error error = error_of([] { with_memory_errors("here", []() -> int { throw std::bad_alloc(); }); });
  EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
  EXPECT_EQ(error.where(), "here");
  EXPECT_EQ(error_of([] { with_memory_errors("", []() -> int { throw std::length_error(""); }); }).code(),
            ErrorCode::out_of_memory);
}

TEST(PictureFiles, ThatAreEmptySaySo) {
  const ScratchFolder folder;
  const std::string path = folder / "empty.png";
  write_bytes(path, {});
  const Error error = error_of([&] { (void)load_image(path); });
  EXPECT_EQ(error.code(), ErrorCode::image_corrupt);
  EXPECT_NE(error.message().find("empty"), std::string::npos);
  expect_helpful(error, path);
}

}  // namespace
}  // namespace resnet::test
