#pragma once

#include <string>

#include "bench/measure.hpp"
#include "common/json.hpp"

namespace resnet::tools {

/// The JSON of docs/cli.md.
Json bench_json(const BenchOptions& options, const Measurement& measurement);
/// The same for people: one table of batch sizes, and with --layers one of steps per batch size.
std::string bench_text(const BenchOptions& options, const Measurement& measurement);

}  // namespace resnet::tools
