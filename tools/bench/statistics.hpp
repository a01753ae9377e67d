#pragma once

#include <cstdint>
#include <vector>

namespace resnet::tools {

/// The value that `percent` of the sorted values do not exceed (nearest rank); the median of an even count is the mean
/// of the two in the middle. @param values not empty
double percentile(std::vector<double> values, double percent);

/// Largest resident size of this process so far in bytes, or 0 where the system does not say. Not getrusage: that one
/// is inherited from whatever started the process.
std::int64_t peak_rss_bytes();

}  // namespace resnet::tools
