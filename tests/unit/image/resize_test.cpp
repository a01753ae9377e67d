#include <gtest/gtest.h>

#include <algorithm>

#include "image/resample.hpp"
#include "image/resample_kernels.hpp"
#include "unit/image/golden.hpp"

namespace resnet::test {
namespace {

Filter filter_named(const std::string& name) {
  if (name == "nearest") return Filter::nearest;
  if (name == "box") return Filter::box;
  if (name == "bilinear") return Filter::bilinear;
  if (name == "bicubic") return Filter::bicubic;
  return Filter::lanczos;
}

TEST(Resize, EqualsPillowByteForByte) {
  const auto cases = read_golden_json("resize.json");
  ASSERT_GT(cases.size(), 400u);
  for (const Json& entry : cases) {
    const auto& field = entry.as_array();
    const auto number = [&](std::size_t i) { return field[i].as_int(); };
    const Image in = noise(number(2), number(3), number(1), static_cast<std::uint32_t>(number(6)));
    const Image out = resize_image(in, number(4), number(5), filter_named(field[0].as_string()));
    EXPECT_EQ(crc32(out.pixels), number(7)) << entry.dump();
  }
}

TEST(Resize, EqualsPillowOnAPicture) {
  const Image in = load_image(golden_path("resized-input.pixels.png"));
  const Image expected = load_image(golden_path("resized-bicubic.pixels.png"));
  EXPECT_EQ(resize_image(in, expected.height, expected.width, Filter::bicubic).pixels, expected.pixels);
}

TEST(Resize, OfARegionIsThatPartOfTheWholeResize) {
  struct Case {
    std::int64_t height, width, out_height, out_width;
    Region region;
  };
  const Case cases[] = {{97, 131, 40, 55, {7, 9, 20, 31}},      // both smaller, columns first
                        {400, 100, 100, 90, {13, 21, 50, 40}},  // rows first
                        {20, 30, 77, 91, {40, 3, 37, 88}},      // both larger, to the last row
                        {50, 60, 50, 33, {49, 0, 1, 33}},       // one pass
                        {50, 60, 21, 60, {3, 50, 5, 10}},       // the other
                        {50, 60, 50, 60, {10, 20, 5, 7}}};      // none
  for (const Case& c : cases) {
    for (const Filter filter : {Filter::nearest, Filter::box, Filter::bilinear, Filter::bicubic, Filter::lanczos}) {
      for (const std::int64_t channels : {1, 3}) {
        Image in = noise(c.height, c.width, channels, 5);
        const Image whole = resize_image(in, c.out_height, c.out_width, filter);
        std::vector<std::uint8_t> part(static_cast<std::size_t>(c.region.height * c.region.width * channels));
        resize_region({in.height, in.width, channels, in.pixels.data()}, c.out_height, c.out_width, filter, c.region,
                      part.data());
        for (std::int64_t y = 0; y < c.region.height; ++y) {
          const auto* expected =
              &whole.pixels[static_cast<std::size_t>(((c.region.top + y) * whole.width + c.region.left) * channels)];
          const auto* got = &part[static_cast<std::size_t>(y * c.region.width * channels)];
          ASSERT_TRUE(std::equal(got, got + c.region.width * channels, expected))
              << "row " << y << " of the region differs, filter " << static_cast<int>(filter);
        }
      }
    }
  }
}

TEST(Resize, FastKernelsEqualThePortableOnes) {
  const ResampleKernels& fast = best_resample_kernels();
  if (&fast == &portable_resample_kernels) GTEST_SKIP() << "this CPU has only the portable kernels";
  std::uint32_t seed = 0;
  for (const std::int64_t in : {1, 2, 5, 16, 33, 100, 1000}) {
    for (const std::int64_t out : {1, 3, 15, 16, 17, 32, 64, 333}) {
      for (const Filter filter : {Filter::box, Filter::bilinear, Filter::bicubic, Filter::lanczos}) {
        const AxisFilter axis = make_axis_filter(in, out, filter, 0, out);
        for (const std::int64_t channels : {1, 3}) {
          constexpr std::int64_t lines = 6;  // more than one block of rows, and a rest
          Image image = noise(lines, in, channels, ++seed);
          if (seed % 2 == 0) {  // extremes: the largest sums
            for (auto& pixel : image.pixels) pixel = pixel < 128 ? 0 : 255;
          }
          const std::size_t row = static_cast<std::size_t>(in * channels);
          std::vector<std::uint8_t> expected(static_cast<std::size_t>(lines * out * channels)), got(expected.size());
          const ByteRows rows{image.pixels.data(), row, image.pixels.size()};
          portable_resample_kernels.horizontal(rows, lines, channels, axis, expected.data());
          fast.horizontal(rows, lines, channels, axis, got.data());
          ASSERT_EQ(got, expected) << fast.name << " horizontal " << in << " to " << out << " c" << channels;

          const std::size_t columns = 7 * static_cast<std::size_t>(channels) + 32;
          const Image tall = noise(in, static_cast<std::int64_t>(columns), 1, seed);
          expected.assign(static_cast<std::size_t>(out) * columns, 0);
          got.assign(expected.size(), 1);
          const ByteRows stack{tall.pixels.data(), columns, tall.pixels.size()};
          portable_resample_kernels.vertical(stack, columns, axis, expected.data());
          fast.vertical(stack, columns, axis, got.data());
          ASSERT_EQ(got, expected) << fast.name << " vertical " << in << " to " << out << " row of " << columns;
        }
      }
    }
  }
}

TEST(Resize, RefusesTargetsOutsideTheLimits) {
  const Image image = noise(4, 4, 3, 1);
  for (const auto& [height, width] :
       {std::pair<std::int64_t, std::int64_t>{0, 4}, {4, -1}, {16385, 4}, {16384, 16384}}) {
    const Error error = error_of([&, h = height, w = width] { resize_image(image, h, w, Filter::bilinear); });
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  }
}

TEST(Resize, RefusesAnImageWhosePixelsDoNotFitItsSize) {
  Image image = noise(4, 4, 3, 1);
  image.pixels.pop_back();
  EXPECT_EQ(error_of([&] { resize_image(image, 2, 2, Filter::bilinear); }).code(), ErrorCode::invalid_argument);
  image = noise(4, 4, 2, 1);
  EXPECT_EQ(error_of([&] { resize_image(image, 2, 2, Filter::bilinear); }).code(), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace resnet::test
