#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace resnet {

/// Runs task(i) for i in [0, count) on up to `threads` threads, the calling one included; tasks are taken in order.
/// The first exception stops new tasks and is rethrown here. For set-up work (weights, images), never inside run().
template <class Task>
void parallel_for(std::size_t count, int threads, Task&& task) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr error;
  std::mutex error_lock;
  const auto work = [&] {
    for (std::size_t i; (i = next.fetch_add(1)) < count;) {
      try {
        task(i);
      } catch (...) {
        const std::lock_guard lock(error_lock);
        if (!error) error = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::jthread> helpers;
  for (std::size_t t = 1; t < static_cast<std::size_t>(threads) && t < count; ++t) helpers.emplace_back(work);
  work();
  helpers.clear();
  if (error) std::rethrow_exception(error);
}

}  // namespace resnet
