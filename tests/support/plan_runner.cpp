#include "support/plan_runner.hpp"

#include <gtest/gtest.h>

#include <cmath>
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
    const AlignedBuffer host = pack(request, weights);
    weights_.push_back(backend.allocator().allocate(host.size()));
    backend.allocator().upload(weights_.back()->data(), host.data(), host.size());
    packed.push_back(weights_.back()->data());
  }
  arena_ = backend.allocator().allocate(plan_->arena.arena_bytes);
  bind_plan(*plan_, arena_->data(), packed);
}

std::vector<float> PlanRunner::run(const std::vector<float>& input) {
  EXPECT_EQ(input.size() * sizeof(float), plan_->input.desc.bytes());
  // NaN in every float type: who reads before writing shows.
  const std::vector<std::byte> nans(plan_->arena.arena_bytes, std::byte{0xFF});
  backend_.begin_run(threads_, nullptr);
  backend_.copy_to_device(arena_->data(), nans.data(), nans.size());
  backend_.copy_to_device(arena_->data() + plan_->input.offset, reinterpret_cast<const std::byte*>(input.data()),
                          input.size() * sizeof(float));
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
  backend_.begin_run(threads_, nullptr);
  backend_.copy_to_host(reinterpret_cast<std::byte*>(values.data()), arena_->data() + place.offset,
                        values.size() * sizeof(float));
  backend_.end_run();
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
