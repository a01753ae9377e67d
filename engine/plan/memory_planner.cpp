// Offline dynamic storage allocation: blocks with fixed lifetimes get offsets in one arena. Optimal packing is NP-hard;
// a few placement orders and a short search over the order reach the lower bound on feed-forward networks.

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "base/checked.hpp"
#include "plan/plan.hpp"

namespace resnet {
namespace {

using Order = std::vector<std::size_t>;

struct Block {
  std::size_t bytes = 0;  ///< rounded up to arena_alignment
  int first = 0, last = 0;
};

bool overlap_in_time(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

/// The most bytes that live in one step.
template <class Lives>
std::size_t peak_bytes(std::span<const Lives> lives) {
  std::vector<std::pair<int, std::size_t>> births, deaths;
  for (const auto& life : lives) {
    births.emplace_back(life.first, life.bytes);
    deaths.emplace_back(life.last, life.bytes);
  }
  std::sort(births.begin(), births.end());
  std::sort(deaths.begin(), deaths.end());
  std::size_t live = 0, peak = 0, dead = 0;
  for (const auto& [step, bytes] : births) {
    for (; deaths[dead].first < step; ++dead) live -= deaths[dead].second;
    live = checked_add(live, bytes, "arena size");
    peak = std::max(peak, live);
  }
  return peak;
}

struct Packing {
  std::vector<std::size_t> offsets;
  std::size_t height = 0;
};

/// Places blocks one after the other, each into the smallest gap that holds it (lowest address among equals), on top
/// where none does.
Packing place(std::span<const Block> blocks, const Order& order) {
  Packing packing;
  packing.offsets.resize(blocks.size());
  Order placed;  // by offset
  for (const std::size_t i : order) {
    std::size_t best = 0, best_gap = SIZE_MAX, top = 0;
    for (const std::size_t j : placed) {
      if (!overlap_in_time(blocks[i], blocks[j])) continue;
      const std::size_t begin = packing.offsets[j];
      if (begin > top && begin - top >= blocks[i].bytes && begin - top < best_gap) {
        best = top;
        best_gap = begin - top;
      }
      top = std::max(top, begin + blocks[j].bytes);
    }
    packing.offsets[i] = best_gap == SIZE_MAX ? top : best;
    packing.height = std::max(packing.height, checked_add(packing.offsets[i], blocks[i].bytes, "arena size"));
    const auto position =
        std::upper_bound(placed.begin(), placed.end(), packing.offsets[i],
                         [&](std::size_t offset, std::size_t j) { return offset < packing.offsets[j]; });
    placed.insert(position, i);
  }
  return packing;
}

/// Orders that are good on their own: large first, long first, by area, and as the steps come.
std::vector<Order> placement_orders(std::span<const Block> blocks) {
  const auto length = [](const Block& b) { return static_cast<std::size_t>(b.last - b.first) + 1; };
  const auto area = [&](const Block& b) { return static_cast<double>(b.bytes) * static_cast<double>(length(b)); };
  const auto sorted = [&](auto&& before) {
    Order order(blocks.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return before(blocks[a], blocks[b]); });
    return order;
  };
  return {
      sorted([](const Block& a, const Block& b) { return a.bytes > b.bytes; }),
      sorted([&](const Block& a, const Block& b) {
        return length(a) != length(b) ? length(a) > length(b) : a.bytes > b.bytes;
      }),
      sorted([&](const Block& a, const Block& b) { return area(a) > area(b); }),
      sorted([](const Block& a, const Block& b) { return a.first != b.first ? a.first < b.first : a.bytes > b.bytes; }),
  };
}

/// Moves the block that makes the arena high to some earlier place in the order, again and again: what is placed first
/// lies low. Always to the front would run in circles.
void improve(std::span<const Block> blocks, Order order, std::size_t bound, Packing& best) {
  // Bounded by work, not by time, and with a fixed seed: the result must not depend on the machine.
  constexpr std::size_t pair_visits = 20'000'000;
  const std::size_t rounds = std::min<std::size_t>(200, pair_visits / (blocks.size() * blocks.size() + 1));
  std::minstd_rand random;
  Packing packing = place(blocks, order);
  for (std::size_t round = 0; round < rounds && best.height > bound; ++round) {
    const auto culprit = std::find_if(order.begin(), order.end(), [&](std::size_t i) {
      return packing.offsets[i] + blocks[i].bytes == packing.height;
    });
    const auto earlier = static_cast<std::ptrdiff_t>(random() % static_cast<std::size_t>(culprit - order.begin() + 1));
    std::rotate(order.begin() + earlier, culprit, culprit + 1);
    packing = place(blocks, order);
    if (packing.height < best.height) best = packing;
  }
}

}  // namespace

MemoryPlan plan_memory(std::span<const Lifetime> lifetimes) {
  MemoryPlan plan;
  plan.offsets.resize(lifetimes.size());
  plan.lower_bound_bytes = peak_bytes(lifetimes);

  // Empty blocks need no place; offset 0 is as good as any.
  std::vector<Block> blocks;
  std::vector<std::size_t> index;
  for (std::size_t i = 0; i < lifetimes.size(); ++i) {
    ensure(lifetimes[i].first <= lifetimes[i].last, "a lifetime ends before it begins");
    if (lifetimes[i].bytes == 0) continue;
    blocks.push_back(
        {checked_align(lifetimes[i].bytes, arena_alignment, "arena size"), lifetimes[i].first, lifetimes[i].last});
    index.push_back(i);
  }
  const std::size_t bound = peak_bytes(std::span<const Block>(blocks));

  Packing best;
  best.height = SIZE_MAX;
  for (const Order& order : placement_orders(blocks)) {
    if (best.height == bound) break;
    Packing packing = place(blocks, order);
    if (packing.height < best.height) best = std::move(packing);
  }
  for (const Order& order : placement_orders(blocks)) improve(blocks, order, bound, best);

  for (std::size_t i = 0; i < blocks.size(); ++i) plan.offsets[index[i]] = best.offsets[i];
  plan.arena_bytes = blocks.empty() ? 0 : best.height;
  return plan;
}

}  // namespace resnet
