#include "infer/loader.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "support/scratch_folder.hpp"

namespace resnet::tools {
namespace {

LoadedInput numbered(std::size_t index) {
  LoadedInput loaded;
  loaded.values = {static_cast<float>(index)};
  return loaded;
}

TEST(Prefetcher, HandsInputsOutInOrderWhateverTheThreadsDo) {
  Prefetcher prefetcher(200, 16, 4, [](std::size_t index) {
    if (index % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return numbered(index);
  });
  for (std::size_t i = 0; i < 200; ++i) ASSERT_EQ(prefetcher.next().values.at(0), static_cast<float>(i));
}

TEST(Prefetcher, StaysWithinItsLookAhead) {
  std::atomic<std::size_t> loaded{0};
  Prefetcher prefetcher(100, 3, 4, [&](std::size_t index) {
    ++loaded;
    return numbered(index);
  });
  for (std::size_t taken = 0; taken < 100; ++taken) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    EXPECT_LE(loaded, taken + 3);
    prefetcher.next();
  }
  EXPECT_EQ(loaded, 100u);
}

TEST(Prefetcher, WorksAheadWhileNobodyWaits) {
  std::atomic<std::size_t> loaded{0};
  Prefetcher prefetcher(10, 4, 1, [&](std::size_t index) {
    ++loaded;
    return numbered(index);
  });
  for (int i = 0; i < 5000 && loaded < 4; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(loaded, 4u);
}

TEST(Prefetcher, RestsWhileItMayUseNoThread) {
  std::atomic<std::size_t> loaded{0};
  Prefetcher prefetcher(100, 100, 2, [&](std::size_t index) {
    ++loaded;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return numbered(index);
  });
  prefetcher.next();
  prefetcher.limit_threads(0);
  const std::size_t before = loaded;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LE(loaded, before + 2) << "more than what both threads had begun";
  prefetcher.limit_threads(2);
  for (std::size_t i = 1; i < 100; ++i) EXPECT_EQ(prefetcher.next().values.at(0), static_cast<float>(i));
}

TEST(Prefetcher, EndsWithInputsLeftOver) {
  Prefetcher prefetcher(1000, 2, 2, numbered);
  prefetcher.next();
}

TEST(LoadInput, ReportsWhatTheExpansionFound) {
  Input input;
  input.name = "x";
  input.failure = "the array is empty";
  const auto loaded = load_input(input, std::nullopt, false);
  EXPECT_EQ(loaded.failure, "x: the array is empty");
  EXPECT_EQ(loaded.code, ExitCode::input_failed);
}

TEST(LoadInput, NamesAMissingPictureOnce) {
  Input input;
  input.name = input.path = "/nowhere/cat.jpg";
  const auto loaded = load_input(input, Preprocess::preset("torchvision"), false);
  EXPECT_EQ(loaded.code, ExitCode::input_failed);
  EXPECT_EQ(loaded.failure.find("/nowhere/cat.jpg"), 0u);
  EXPECT_EQ(loaded.failure.find("/nowhere/cat.jpg", 1), std::string::npos) << loaded.failure;
}

TEST(FixedSize, IsKnownForACropAndAnExactResizeOnly) {
  Preprocess preprocess;
  EXPECT_EQ(fixed_size(preprocess)->height, 224);
  preprocess.crop = false;
  EXPECT_FALSE(fixed_size(preprocess));
  preprocess.resize = ResizeMode::exact;
  EXPECT_EQ(fixed_size(preprocess)->width, 256);
}

}  // namespace
}  // namespace resnet::tools
