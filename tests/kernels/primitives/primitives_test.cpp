#include "kernels/primitives/primitives.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/json.hpp"
#include "kernels/environment.hpp"

namespace resnet::test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The word of lane `lane`, place `i` of a recording.
std::uint32_t word(const Json& recording, std::size_t lane, std::size_t i, std::size_t per_lane) {
  return static_cast<std::uint32_t>(
      std::stoul(recording.as_string().substr((lane * per_lane + i) * 9, 8), nullptr, 16));
}

class PrimitivesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    use_device(devices().front());
    recorded_ = parse_json(record_primitives(), "recording");
  }
  Json recorded_;
};

TEST_F(PrimitivesTest, GiveTheSameWordsEveryTime) {
  for (int run = 0; run < options().schedules; ++run) {
    use_schedule(run, run % 2 == 1);
    const Json again = parse_json(record_primitives(), "recording");
    EXPECT_EQ(again.at("exact").dump(), recorded_.at("exact").dump()) << "under schedule " << run;
  }
  EXPECT_TRUE(take_reports().empty());
}

// Worked out by hand from the PTX manual's tables.
TEST_F(PrimitivesTest, LoadTheRowsThatTheManualSays) {
  const Json& a = recorded_.at("exact").at("ldmatrix_a");
  // Lane 5 holds row 1, columns 2 and 3 of matrix 0, and row 9 of matrix 1.
  EXPECT_EQ(word(a, 5, 0, 8), 0x00130012u);
  EXPECT_EQ(word(a, 5, 1, 8), 0x00930092u);
  EXPECT_EQ(word(a, 5, 2, 8), 0x001b001au);
  const Json& b = recorded_.at("exact").at("ldmatrix_b");
  EXPECT_EQ(word(b, 5, 0, 8), 0x00130012u);
  EXPECT_EQ(word(b, 5, 1, 8), 0x001b001au);
  EXPECT_EQ(word(b, 5, 2, 8), 0x00930092u);
}

TEST_F(PrimitivesTest, FillTheRestOfACopyWithZeros) {
  const Json& copy = recorded_.at("exact").at("cp_async");
  // Lane 5 shows the words of lane 6: six bytes were copied.
  EXPECT_EQ(word(copy, 5, 0, 8), 0x18181818u);
  EXPECT_EQ(word(copy, 5, 1, 8), 0x00001919u);
  EXPECT_EQ(word(copy, 5, 2, 8), 0u);
  EXPECT_EQ(word(copy, 5, 4, 8), 0x01010101u * 206u);
  EXPECT_EQ(word(copy, 5, 5, 8), 0xdeadbeefu);
}

TEST(Recordings, AreWhatThisDeviceDoesToo) {
  const fs::path folder = fs::path(RESNET_SOURCE_DIR) / "tests/golden/primitives";
  if (!fs::exists(folder)) GTEST_SKIP() << "no GPU has recorded its primitives yet: every one is from the manual";
  for (const auto& file : fs::directory_iterator(folder)) {
    const Json golden = parse_json(text_of(file.path()), file.path().string());
    for (const DeviceInfo& device : devices()) {
      if (device.sm != golden.at("sm").as_int()) continue;
      use_device(device);
      const Json here = parse_json(record_primitives(), "recording");
      for (const auto& [name, words] : golden.at("exact").as_object()) {
        EXPECT_EQ(here.at("exact").at(name).as_string(), words.as_string())
            << name << " differs from " << file.path() << ": the emulator, or this GPU, has another lane map";
      }
    }
  }
}

}  // namespace
}  // namespace resnet::test
