#pragma once

#include <cstddef>

namespace resnet::testing {

/// Largest number of bytes that operator new had handed out at once since construction, beyond what was live then.
/// One at a time. Counts nothing in sanitizer builds, which own operator new.
class AllocationMeter {
 public:
  AllocationMeter();
  std::size_t peak() const;
};

}  // namespace resnet::testing
