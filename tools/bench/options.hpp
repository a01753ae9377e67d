#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/session_choice.hpp"

namespace resnet::tools {

/// The command line of resnet_bench.
struct BenchOptions {
  std::string model;
  std::vector<std::int64_t> batches{1};
  SessionOptions session;
  std::optional<Size> input_size;  ///< the model's own when empty
  double seconds = 2;              ///< measured time per batch size
  int iterations = 0;              ///< exact number of measured runs; 0 = by `seconds`
  int warmup = 3;
  bool layers = false, json = false;
  std::string tune;     ///< file of measured times to write
  std::string command;  ///< the command line, for its provenance
};

/// @return nothing when --help or --version was asked for and printed. @throws UsageError
std::optional<BenchOptions> parse_bench_options(int argc, char** argv);

}  // namespace resnet::tools
