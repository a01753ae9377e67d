#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "base/check.hpp"
#include "plan/plan.hpp"

namespace resnet {
namespace {

/// Lives of `count` blocks in `steps` steps; mostly short ones, as in a network.
std::vector<Lifetime> random_lifetimes(std::mt19937& random, int count, int steps) {
  std::vector<Lifetime> lives;
  for (int i = 0; i < count; ++i) {
    const int first = static_cast<int>(random() % static_cast<unsigned>(steps));
    const int length = static_cast<int>(random() % 8 == 0 ? random() % static_cast<unsigned>(steps) : random() % 4);
    const std::size_t bytes = random() % 16 == 0 ? 0 : 1 + random() % 5000;
    lives.push_back({bytes, first, std::min(first + length, steps - 1)});
  }
  return lives;
}

std::size_t live_bytes(const std::vector<Lifetime>& lives, int step) {
  std::size_t bytes = 0;
  for (const auto& life : lives) {
    if (life.first <= step && step <= life.last) bytes += life.bytes;
  }
  return bytes;
}

/// Every rule of plan_memory(), checked by brute force.
void expect_valid(const std::vector<Lifetime>& lives, const MemoryPlan& plan, int steps) {
  ASSERT_EQ(plan.offsets.size(), lives.size());
  for (std::size_t i = 0; i < lives.size(); ++i) {
    ASSERT_EQ(plan.offsets[i] % arena_alignment, 0u) << "block " << i << " is not aligned";
    ASSERT_LE(plan.offsets[i] + lives[i].bytes, plan.arena_bytes) << "block " << i << " reaches outside the arena";
    for (std::size_t j = 0; j < i; ++j) {
      const bool in_time = lives[i].first <= lives[j].last && lives[j].first <= lives[i].last;
      const bool in_memory =
          plan.offsets[i] < plan.offsets[j] + lives[j].bytes && plan.offsets[j] < plan.offsets[i] + lives[i].bytes;
      ASSERT_FALSE(in_time && in_memory) << "blocks " << i << " and " << j << " are live together and share memory";
    }
  }
  std::size_t bound = 0;
  for (int step = 0; step < steps; ++step) bound = std::max(bound, live_bytes(lives, step));
  EXPECT_EQ(plan.lower_bound_bytes, bound);
  EXPECT_GE(plan.arena_bytes, bound);
}

TEST(MemoryPlanner, KeepsItsRulesForRandomLifetimes) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const int steps = 1 + static_cast<int>(random() % 40);
    const auto lives = random_lifetimes(random, static_cast<int>(random() % 60), steps);
    expect_valid(lives, plan_memory(lives), steps);
    if (HasFatalFailure()) FAIL() << "in round " << round;
  }
}

TEST(MemoryPlanner, StaysNearTheLowerBoundForRandomLifetimes) {
  std::mt19937 random(2);
  for (int round = 0; round < 100; ++round) {
    const auto lives = random_lifetimes(random, 50, 40);
    const auto plan = plan_memory(lives);
    EXPECT_LE(static_cast<double>(plan.arena_bytes), 1.25 * static_cast<double>(plan.lower_bound_bytes))
        << "round " << round;
  }
}

TEST(MemoryPlanner, GivesTheSamePlanTwice) {
  std::mt19937 random(3);
  const auto lives = random_lifetimes(random, 200, 50);
  EXPECT_EQ(plan_memory(lives).offsets, plan_memory(lives).offsets);
}

TEST(MemoryPlanner, ReusesTheArenaOfADeadTensor) {
  const std::vector<Lifetime> chain{{640, 0, 1}, {640, 1, 2}, {640, 2, 3}, {640, 3, 4}};
  const auto plan = plan_memory(chain);
  EXPECT_EQ(plan.arena_bytes, 1280u);
  EXPECT_EQ(plan.offsets[0], plan.offsets[2]);
}

TEST(MemoryPlanner, LaysASmallTensorIntoTheGapThatADeadOneLeft) {
  const std::vector<Lifetime> lives{{128, 0, 1}, {640, 1, 3}, {64, 2, 3}};
  EXPECT_EQ(plan_memory(lives).arena_bytes, 768u);
}

TEST(MemoryPlanner, NeedsNoArenaForNothing) {
  EXPECT_EQ(plan_memory({}).arena_bytes, 0u);
  const std::vector<Lifetime> empty{{0, 0, 3}, {0, 1, 1}};
  EXPECT_EQ(plan_memory(empty).arena_bytes, 0u);
  EXPECT_EQ(plan_memory(empty).lower_bound_bytes, 0u);
}

TEST(MemoryPlanner, PacksBlocksThatAllLiveTogetherWithoutAGap) {
  std::vector<Lifetime> lives;
  for (std::size_t i = 1; i <= 100; ++i) lives.push_back({64 * i, 0, 9});
  EXPECT_EQ(plan_memory(lives).arena_bytes, plan_memory(lives).lower_bound_bytes);
}

TEST(MemoryPlanner, RefusesSizesBeyond64Bits) {
  const std::vector<Lifetime> lives{{SIZE_MAX - 64, 0, 0}, {128, 0, 0}};
  try {
    plan_memory(lives);
    FAIL() << "a wrapped sum would give a small arena";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::overflow);
  }
}

}  // namespace
}  // namespace resnet
