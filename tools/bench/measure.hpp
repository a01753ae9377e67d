#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/options.hpp"

namespace resnet::tools {

/// Times of one batch size, milliseconds.
struct BatchTimes {
  std::int64_t batch = 0;
  double prepare_ms = 0;          ///< its plan; next to nothing for the first size, whose plan load_ms holds
  double first_ms = 0;            ///< the first run
  std::vector<double> runs_ms;    ///< the measured runs
  std::vector<double> host_us;    ///< of timed runs: enqueueing; empty where the calling thread computes itself
  std::vector<double> device_us;  ///< of the same runs, by the device's clock
  std::string profile_json;       ///< Session::profile, with --layers
};

struct Measurement {
  std::string device, device_reason;
  double load_ms = 0;  ///< open the file, make the session, prepare the first batch size
  std::vector<BatchTimes> batches;
  std::int64_t peak_rss_bytes = 0;
};

Measurement measure(const BenchOptions& options);

}  // namespace resnet::tools
