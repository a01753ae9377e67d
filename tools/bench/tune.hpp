#pragma once

#include <string>

#include "bench/options.hpp"

namespace resnet::tools {

/// Measures every implementation for the model's problems and adds the times to the file of --tune. The file appears
/// when all of it is done. @return what to print: the table itself with --json, else a readable one
std::string tune(const BenchOptions& options);

}  // namespace resnet::tools
