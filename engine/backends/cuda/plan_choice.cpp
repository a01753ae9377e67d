#include "backends/cuda/plan_choice.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "backends/cuda/kernel_entries.hpp"
#include "backends/cuda/runtime.hpp"
#include "base/check.hpp"
#include "base/log.hpp"

namespace resnet::cuda {
namespace {

constexpr int launches_in_a_row = 5;  // a launch alone is measured with its latency
constexpr int samples = 11;

/// The remembered plan, built; nullopt when there is none or it is of no use.
std::optional<std::size_t> remembered(ResultCache& cache, const std::string& key, const PlanOffer& offer) {
  const auto entry = cache.get(key);
  if (!entry) return std::nullopt;
  const Json* const name = entry->find("plan");
  std::string why = "the entry names no plan";
  if (name && name->is_string()) {
    const auto place = std::find(offer.names.begin(), offer.names.end(), name->as_string());
    why = name->as_string() + " is not offered any more";
    if (place != offer.names.end()) try {
        const auto index = static_cast<std::size_t>(place - offer.names.begin());
        offer.build(index);
        return index;
      } catch (const Error& error) {
        why = error.message();
      }
  }
  log(LogLevel::warning, cache.path() + ": what is kept for " + key + " is measured again: " + why);
  return std::nullopt;
}

/// One call of `enqueue` as a step, which is what a backend records.
class EnqueueStep final : public Step {
 public:
  explicit EnqueueStep(const std::function<void()>& enqueue) : enqueue_(enqueue) {}
  void bind(const StepBuffers&) override {}
  void run() override { enqueue_(); }

 private:
  const std::function<void()>& enqueue_;
};

double median_us(Backend& backend, const std::function<void()>& enqueue) {
  EnqueueStep step(enqueue);
  RunSequence sequence;
  sequence.steps.assign(launches_in_a_row, &step);
  enqueue();  // loads code, which nothing may do while recording
  const auto recording = backend.record(sequence, nullptr, nullptr);
  recording->run(nullptr, nullptr);
  std::vector<double> times;
  for (int sample = 0; sample < samples; ++sample) {
    Event begin(backend.device().index), end(backend.device().index);
    begin.record(run_target->stream);
    recording->run(nullptr, nullptr);
    end.record(run_target->stream);
    end.wait();
    times.push_back(begin.us_until(end) / launches_in_a_row);
  }
  std::nth_element(times.begin(), times.begin() + samples / 2, times.end());
  return times[samples / 2];
}

}  // namespace

std::string plan_key(std::string_view library, const DeviceInfo& device, int driver, std::string_view problem) {
  return std::string(library) + " | sm_" + std::to_string(device.sm) + ", " + std::to_string(device.multiprocessors) +
         " multiprocessors, " + device.name + ", driver " + std::to_string(driver) + " | " + std::string(problem);
}

std::size_t choose_plan(ResultCache& cache, const std::string& key, const PlanOffer& offer) {
  if (offer.names.size() == 1) {
    offer.build(0);
    return 0;
  }
  if (const auto index = remembered(cache, key, offer)) return *index;
  double best_us = std::numeric_limits<double>::infinity();
  std::optional<std::size_t> best;
  std::string why;
  for (std::size_t i = 0; i < std::min(offer.names.size(), offer.most_measured); ++i) {
    try {
      offer.build(i);
      const double us = offer.measure_us();
      if (us < best_us) best_us = us, best = i;
    } catch (const Error& error) {
      // Memory that measuring lacks may be there for another plan, or for another entry without one.
      if (error.code() != ErrorCode::unsupported && error.code() != ErrorCode::out_of_memory) throw;
      why = error.message();
    }
  }
  if (!best) fail(ErrorCode::unsupported, "no plan could be built and measured: " + why, key);
  offer.build(*best);
  cache.put(key, Json().set("plan", offer.names[*best]).set("us", best_us));
  return *best;
}

double measure_enqueued_us(Backend& backend, const std::function<void()>& enqueue) {
  backend.begin_run(1, nullptr);
  double us = 0;
  try {
    us = median_us(backend, enqueue);
  } catch (...) {
    try {
      backend.end_run();
    } catch (const Error&) {  // the first error says more
    }
    throw;
  }
  backend.end_run();
  return us;
}

}  // namespace resnet::cuda
