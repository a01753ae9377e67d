#pragma once

#include <cstdint>
#include <string>

namespace resnet::convert {

/// The command line of resnet_convert, as it was typed.
struct Command {
  std::string source, output, arch = "auto", weights, map, preset, labels, input_size;
  bool allow_external_data = false;
  bool verbose = false;
};

struct Outcome {
  std::string report;  ///< text for people
  std::uint64_t bytes = 0;
};

/// Converts: the source is parsed in the limited child, its result goes through the strict reader (every header rule,
/// every checksum, every value finite), and only then replaces the output.
/// @throws Error, tools::OutputError
Outcome run(const Command& command);

/// "torchvision, torchvision-v2, ..."
std::string preset_list();

}  // namespace resnet::convert
