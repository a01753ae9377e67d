#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/backend.hpp"
#include "base/result_cache.hpp"

/// Which of a library's plans for one problem is used: measured once, then remembered.
namespace resnet::cuda {

/// Names all that a measurement depends on.
/// @param library name and version, "cuDNN 9.19.0"
/// @param driver as cudaDriverGetVersion() reports it
/// @param problem sizes, types, form
std::string plan_key(std::string_view library, const DeviceInfo& device, int driver, std::string_view problem);

struct PlanOffer {
  std::vector<std::string> names;          ///< at least one, each once; the library's best guess first
  std::function<void(std::size_t)> build;  ///< makes a plan the current one. @throws Error unsupported where it cannot
  std::function<double()> measure_us;      ///< of the current one. @throws Error
  std::size_t most_measured = 8;           ///< the first ones of the library's order
};

/// Makes one plan the current one and returns its index: the remembered one, without measuring again, or the fastest.
/// A remembered one that is not offered or not built any more is warned about and replaced.
/// @throws Error unsupported when none can be built and measured, for lack of memory too; what else measuring throws
std::size_t choose_plan(ResultCache& cache, const std::string& key, const PlanOffer& offer);

/// Microseconds of what `enqueue` puts on the backend's stream: the median of replays of a recording, in which the
/// launches stand back to back as in a network. Outside of a run. @throws Error device_failed, what `enqueue` throws
double measure_enqueued_us(Backend& backend, const std::function<void()>& enqueue);

}  // namespace resnet::cuda
