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
    const Json* const error = recorded_.find("error");
    ASSERT_EQ(error, nullptr) << error->as_string();
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
  EXPECT_EQ(word(copy, 5, 0, 9), 0x18181818u);
  EXPECT_EQ(word(copy, 5, 1, 9), 0x00001919u);
  EXPECT_EQ(word(copy, 5, 2, 9), 0u);
  EXPECT_EQ(word(copy, 5, 4, 9), 0x01010101u * 206u);
  EXPECT_EQ(word(copy, 5, 5, 9), 0xdeadbeefu);
  // Its own first word, when only the younger group was in flight.
  EXPECT_EQ(word(copy, 5, 8, 9), 0x14141414u);
}

TEST_F(PrimitivesTest, MoveVectorsByTheirBytes) {
  const Json& vectors = recorded_.at("exact").at("vectors");
  EXPECT_EQ(word(vectors, 5, 0, 14), 0x14141414u);  // words 20 to 23 of the ramp
  EXPECT_EQ(word(vectors, 5, 3, 14), 0x17171717u);
  // Lane 4 left words 16 to 19.
  EXPECT_EQ(word(vectors, 5, 4, 14), 0x13131313u);
  EXPECT_EQ(word(vectors, 5, 5, 14), 0x12121212u);
  EXPECT_EQ(word(vectors, 5, 6, 14), 0x11111111u);
  EXPECT_EQ(word(vectors, 5, 7, 14), 0x12u);
  EXPECT_EQ(word(vectors, 5, 8, 14), 1004u);
  EXPECT_EQ(word(vectors, 5, 9, 14), 2004u);
  EXPECT_EQ(word(vectors, 5, 10, 14), 0x12121212u);  // not touched by 8 bytes before and 4 behind it
  EXPECT_EQ(word(vectors, 5, 11, 14), 3004u);
  EXPECT_EQ(word(vectors, 5, 12, 14), 0x0a0a0a0au);
  EXPECT_EQ(word(vectors, 5, 13, 14), 0x01010101u * 105u);
}

TEST_F(PrimitivesTest, ShowWhatOthersWroteBeforeABarrier) {
  const Json& named = recorded_.at("exact").at("named_barriers");
  EXPECT_EQ(word(named, 31, 0, 3), 0x100u);
  EXPECT_EQ(word(named, 31, 1, 3), 0x201u);
  EXPECT_EQ(word(named, 31, 2, 3), 0x302u);
  const Json& warp = recorded_.at("exact").at("sync_warp");
  EXPECT_EQ(word(warp, 30, 0, 2), 505u);
  EXPECT_EQ(word(warp, 13, 1, 2), 702u);
  EXPECT_EQ(word(warp, 29, 1, 2), 718u);
}

TEST_F(PrimitivesTest, KeepNaNInAMaximum) {
  const Json& largest = recorded_.at("exact").at("max_or_nan");
  // Lane 17 holds the only NaN: it meets itself never, lanes 16, 12 ... meet it as the other operand.
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(word(largest, 17, i, 8), 1u);
    EXPECT_EQ(word(largest, 16 - (i < 5 ? 4 * i : 4 * i - 32), i, 8), 1u);
  }
  EXPECT_EQ(word(largest, 3, 0, 8), 0x3f801000u);  // -1 and 1 + 2^-11
  EXPECT_EQ(word(largest, 0, 0, 8), 0u);           // 0 and -0
}

/// Beside the executable where it has travelled, else in the sources.
fs::path recordings() {
  std::error_code ignored;
  const fs::path beside = fs::read_symlink("/proc/self/exe", ignored).parent_path() / "golden/primitives";
  return fs::exists(beside) ? beside : fs::path(RESNET_SOURCE_DIR) / "tests/golden/primitives";
}

TEST(Recordings, AreWhatThisDeviceDoesToo) {
  const fs::path folder = recordings();
  if (!fs::exists(folder)) GTEST_SKIP() << "no GPU has recorded its primitives yet: every one is from the manual";
  for (const auto& file : fs::directory_iterator(folder)) {
    const Json golden = parse_json(text_of(file.path()), file.path().string());
    for (const DeviceInfo& device : devices()) {
      if (device.sm != golden.at("sm").as_int()) continue;
      use_device(device);
      const Json here = parse_json(record_primitives(), "recording");
      for (const auto& [name, words] : golden.at("exact").as_object()) {
        const Json* const own = here.at("exact").find(name);
        EXPECT_EQ(own ? own->as_string() : "nothing", words.as_string())
            << name << " differs from " << file.path() << ": the emulator, or this GPU, has another lane map";
      }
    }
  }
}

}  // namespace
}  // namespace resnet::test
