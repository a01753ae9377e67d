#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "backends/backend.hpp"
#include "plan/plan.hpp"
#include "resnet_engine/tensor.hpp"
#include "runtime/model_state.hpp"
#include "runtime/self_test.hpp"

namespace resnet {

/// How the caller's tensor becomes the form in which the plan's steps take it.
struct InputLoad {
  std::unique_ptr<Step> conversion;  ///< null where the backend has none
  bool plain = false;                ///< the conversion would only copy
  Placement to;
  std::size_t first_step = 0;  ///< of the plan, behind it
};

/// What distinguishes the runs of one plan on a device whose memory the host does not see.
struct Route {
  std::size_t kind = 0;  ///< see input_kind
  MemoryKind input = MemoryKind::host, output = MemoryKind::host;
  bool operator==(const Route&) const = default;
};

/// A plan with everything that a run of its size needs.
struct ReadyPlan {
  std::int64_t n = 0, h = 0, w = 0;
  std::unique_ptr<Plan> plan;
  std::vector<const std::byte*> weights;
  std::array<InputLoad, 4> loads;     ///< per input kind (see input_kind)
  std::unique_ptr<Step> output_step;  ///< brings the output to the caller, where the host sees the device's memory
  struct Replay {
    Route route;
    std::unique_ptr<Recording> recording;
    std::uint64_t last_use = 0;
  };
  std::vector<Replay> replays;
};

/// The backend's step from one descriptor to another, or null where it has none.
std::unique_ptr<Step> make_conversion(const Backend& backend, const ValueDesc& from, const ValueDesc& to, int threads);

/// Index into ReadyPlan::loads for float32 / uint8 in NHWC / NCHW.
std::size_t input_kind(DType dtype, Layout layout);

/// The plans of one session: least recently used dropped, one arena as large as the largest of them.
class PlanCache {
 public:
  /// `normalize_uint8`: as in SessionOptions. @throws Error unsupported where the model holds no preprocessing
  PlanCache(std::shared_ptr<const detail::ModelState> model, std::shared_ptr<Backend> backend, PlanOptions options,
            int max_plans, SelfTest self_test, bool normalize_uint8);
  ~PlanCache();
  PlanCache(const PlanCache&) = delete;
  PlanCache& operator=(const PlanCache&) = delete;

  /// The plan for this size, made now when it does not exist. The reference stays valid until the next call.
  ReadyPlan& get(std::int64_t n, std::int64_t h, std::int64_t w);
  /// The plan of the last get(), or null.
  ReadyPlan* current() { return plans_.empty() ? nullptr : &plans_.front(); }
  const Graph& optimised() const { return optimised_; }
  const SelfTests& self_tests() const { return self_tests_; }
  std::byte* arena() { return arena_ ? arena_->data() : nullptr; }

  /// The recording for a route of the plan, or null.
  Recording* recording(ReadyPlan& plan, const Route& route);
  /// Keeps one more; of all plans' together the least recently used goes.
  void keep(ReadyPlan& plan, const Route& route, std::unique_ptr<Recording> recording);
  static constexpr std::size_t max_recordings = 8;

  /// Host memory for a tensor on its way, which the device reads or writes itself; null where there is none, or it is
  /// larger than what is worth holding. Valid until the next get().
  std::byte* staged_input(std::size_t bytes) { return staged(staging_[0], bytes); }
  std::byte* staged_output(std::size_t bytes) { return staged(staging_[1], bytes); }
  static constexpr std::size_t max_staging_bytes = std::size_t{16} << 20;

 private:
  ReadyPlan make(std::int64_t n, std::int64_t h, std::int64_t w);
  void reserve(const Plan& plan);
  void bind(ReadyPlan& plan);
  /// Whether staging memory is wanted for a tensor that the present one does not hold.
  bool outgrown(const std::unique_ptr<DeviceBuffer>& staging, std::size_t bytes) const;
  static std::byte* staged(const std::unique_ptr<DeviceBuffer>& staging, std::size_t bytes) {
    return staging && staging->size() >= bytes ? staging->data() : nullptr;
  }

  std::shared_ptr<const detail::ModelState> model_;
  std::shared_ptr<Backend> backend_;
  PlanOptions options_;
  std::size_t max_plans_;
  std::optional<Preprocess> normalization_;  ///< of uint8 inputs
  Graph optimised_;
  SelfTests self_tests_;
  std::unique_ptr<DeviceBuffer> arena_;
  std::array<std::unique_ptr<DeviceBuffer>, 2> staging_;  ///< input, output
  std::list<ReadyPlan> plans_;                            ///< most recently used first
  std::uint64_t uses_ = 0;
};

}  // namespace resnet
