#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.hpp"
#include "resnet_engine/session.hpp"

namespace resnet {

std::vector<Prediction> top_k(const Model& model, std::span<const float> output_row, int k) {
  if (k < 1) fail(ErrorCode::invalid_argument, "k must be at least 1", "top_k");
  if (output_row.empty()) fail(ErrorCode::invalid_argument, "the output row is empty", "top_k");
  const std::size_t count = std::min(static_cast<std::size_t>(k), output_row.size());

  std::vector<std::int64_t> order(output_row.size());
  std::iota(order.begin(), order.end(), 0);
  const auto value = [&](std::int64_t i) { return output_row[static_cast<std::size_t>(i)]; };
  // NaN sorts last, so that a broken network still gives a total order.
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::int64_t a, std::int64_t b) {
                      const float x = value(a), y = value(b);
                      if (std::isnan(x) || std::isnan(y))
                        return std::isnan(x) == std::isnan(y) ? a < b : !std::isnan(x);
                      return x != y ? x > y : a < b;
                    });

  const bool probabilities = model.ends_in_softmax();
  const double maximum = value(order.front());
  double sum = 0;
  if (!probabilities) {
    for (const float logit : output_row) sum += std::exp(static_cast<double>(logit) - maximum);
  }
  const auto& labels = model.labels();
  std::vector<Prediction> best(count);
  for (std::size_t i = 0; i < count; ++i) {
    const float raw = value(order[i]);
    best[i].index = order[i];
    best[i].score = probabilities ? raw : static_cast<float>(std::exp(static_cast<double>(raw) - maximum) / sum);
    best[i].logit = probabilities ? std::log(raw) : raw;
    if (static_cast<std::size_t>(order[i]) < labels.size()) best[i].label = labels[static_cast<std::size_t>(order[i])];
  }
  return best;
}

}  // namespace resnet
