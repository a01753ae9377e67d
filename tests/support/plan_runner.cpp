#include "support/plan_runner.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace resnet::test {
namespace {

/// Packs one request from weights that lie in memory.
AlignedBuffer pack(const WeightRequest& request, const WeightMap& weights) {
  std::vector<StoredTensor> infos(request.tensors.size());
  std::vector<TensorValues> values;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    infos[i].name = request.tensors[i];
    values.push_back({&infos[i], weights.find(request.tensors[i])->second});
  }
  AlignedBuffer packed(request.bytes);
  request.pack(values, packed.data());
  return packed;
}

}  // namespace

PlanRunner::PlanRunner(const Graph& optimised, const Dims& input, Backend& backend, const PlanOptions& options,
                       const WeightMap& weights)
    : backend_(backend),
      threads_(options.threads),
      plan_(make_plan(optimised, input.n, input.h, input.w, backend, options)) {
  std::vector<const std::byte*> packed;
  for (const WeightRequest& request : plan_->weights) {
    weights_.push_back(pack(request, weights));
    packed.push_back(weights_.back().data());
  }
  arena_ = AlignedBuffer(plan_->arena.arena_bytes);
  bind_plan(*plan_, arena_.data(), packed);
}

std::vector<float> PlanRunner::run(const std::vector<float>& input) {
  std::memset(arena_.data(), 0xFF, arena_.size());  // NaN in every float type: who reads before writing shows
  EXPECT_EQ(input.size() * sizeof(float), plan_->input.desc.bytes());
  std::memcpy(arena_.data() + plan_->input.offset, input.data(), input.size() * sizeof(float));
  backend_.begin_run(threads_);
  for (const auto& step : plan_->steps) step->run();
  backend_.end_run();
  return read(plan_->output);
}

std::vector<float> PlanRunner::retained(const std::string& name) const {
  const auto found = plan_->retained.find(name);
  if (found == plan_->retained.end()) {
    ADD_FAILURE() << name << " is not retained";
    return {};
  }
  return read(found->second);
}

std::vector<float> PlanRunner::read(const Placement& place) const {
  ValueDesc plain;
  plain.dims = place.desc.dims;
  EXPECT_EQ(to_string(place.desc), to_string(plain)) << "the value cannot be read as plain NHWC f32";
  std::vector<float> values(static_cast<std::size_t>(place.desc.dims.elements()));
  std::memcpy(values.data(), arena_.data() + place.offset, values.size() * sizeof(float));
  return values;
}

double relative_error(const std::vector<float>& result, const std::vector<double>& exact) {
  if (result.size() != exact.size()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    difference += (result[i] - exact[i]) * (result[i] - exact[i]);
    norm += exact[i] * exact[i];
  }
  if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

}  // namespace resnet::test
