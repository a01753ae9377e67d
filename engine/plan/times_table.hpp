#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.hpp"

namespace resnet {

/// What one implementation took for one problem, microseconds.
struct MeasuredTime {
  double median_us = 0, min_us = 0, max_us = 0;
  int runs = 0;
};

/// A file of measured times (docs/cli.md, "Measured times").
struct TimesTable {
  /// How the times came about; one per writing run.
  struct Origin {
    std::string device, software, version, command;
  };

  std::string architecture;  ///< what the times hold for: architecture_of() the device
  std::vector<Origin> origins;
  std::map<std::string, std::map<std::string, MeasuredTime>> problems;  ///< problem_text() -> implementation -> time

  /// Adds a newer table of the same architecture, whose times replace older ones.
  /// @throws Error invalid_argument that names `where` for another architecture
  void merge(const TimesTable& newer, const std::string& where);
  std::string to_json() const;
};

/// "sm_90" for a GPU, the model's name for a CPU.
std::string architecture_of(const DeviceInfo& device);

/// @throws Error bad_header, limit_exceeded, overflow; they name `where` and the key
TimesTable parse_times_table(std::string_view text, const std::string& where);

/// A table that was compiled in.
struct EmbeddedTimes {
  std::string_view architecture;  ///< file name without folder and suffix
  std::string_view text;
};
/// kernels/tuned/*.json
std::span<const EmbeddedTimes> embedded_times();

/// The times for a device: of the tables that are compiled in, and above them those of `file` where it is not empty.
/// Null where there are none. @throws Error io, bad_header, limit_exceeded, overflow, and invalid_argument for a table
/// of another architecture; all name the file
std::shared_ptr<const MeasuredTimes> measured_times(const DeviceInfo& device, std::span<const EmbeddedTimes> embedded,
                                                    const std::string& file);

}  // namespace resnet
