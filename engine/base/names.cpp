#include "base/names.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace resnet {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(std::string_view name, std::span<const std::string> candidates) {
  const auto inside = [&](const std::string& candidate) { return candidate.starts_with(std::string(name) + "."); };
  const auto last = std::find_if(candidates.rbegin(), candidates.rend(), inside);
  if (!name.empty() && last != candidates.rend()) return *last;
  std::string best;
  // Not beginning with the name is worse than any distance.
  auto smallest = std::pair(true, std::numeric_limits<std::size_t>::max());
  for (const auto& candidate : candidates) {
    const auto distance = std::pair(!candidate.starts_with(name), edit_distance(name, candidate));
    if (distance < smallest) {
      smallest = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace resnet
