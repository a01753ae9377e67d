#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "backends/backend.hpp"
#include "plan/plan.hpp"
#include "resnet_engine/tensor.hpp"
#include "runtime/model_state.hpp"

namespace resnet {

/// A plan with everything that a run of its size needs.
struct ReadyPlan {
  std::int64_t n = 0, h = 0, w = 0;
  std::unique_ptr<Plan> plan;
  std::vector<const std::byte*> weights;
  /// Steps that bring the caller's tensor into the arena, per input kind (see input_kind), and the output out of it.
  /// Null where the backend has no such conversion.
  std::array<std::unique_ptr<Step>, 4> input_steps;
  std::unique_ptr<Step> output_step;
  std::unique_ptr<Recording> recording;  ///< of the plan's steps; null where the backend records nothing
};

/// The backend's step from one descriptor to another, or null where it has none.
std::unique_ptr<Step> make_conversion(const Backend& backend, const ValueDesc& from, const ValueDesc& to, int threads);

/// Index into ReadyPlan::input_steps for float32 / uint8 in NHWC / NCHW.
std::size_t input_kind(DType dtype, Layout layout);

/// The plans of one session: least recently used dropped, one arena as large as the largest of them.
class PlanCache {
 public:
  PlanCache(std::shared_ptr<const detail::ModelState> model, std::shared_ptr<Backend> backend, PlanOptions options,
            int max_plans);

  /// The plan for this size, made now when it does not exist. The reference stays valid until the next call.
  ReadyPlan& get(std::int64_t n, std::int64_t h, std::int64_t w);
  /// The plan of the last get(), or null.
  ReadyPlan* current() { return plans_.empty() ? nullptr : &plans_.front(); }
  const Graph& optimised() const { return optimised_; }
  std::byte* arena() { return arena_ ? arena_->data() : nullptr; }

 private:
  ReadyPlan make(std::int64_t n, std::int64_t h, std::int64_t w);
  void reserve(std::size_t bytes);
  void record(ReadyPlan& ready);

  std::shared_ptr<const detail::ModelState> model_;
  std::shared_ptr<Backend> backend_;
  PlanOptions options_;
  std::size_t max_plans_;
  Graph optimised_;
  std::unique_ptr<DeviceBuffer> arena_;
  std::list<ReadyPlan> plans_;  ///< most recently used first
};

}  // namespace resnet
