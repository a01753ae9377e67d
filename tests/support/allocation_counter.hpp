#pragma once

#include <cstddef>

namespace resnet::test {

/// Allocations since the last reset: operator new called from this executable's own code (shared libraries excepted),
/// and all that reach malloc in the process, libraries included. Link allocation_counter.cpp into exactly the tests
/// that count.
struct Allocations {
  std::size_t news = 0;            ///< operator new
  std::size_t mallocs = 0;         ///< malloc, calloc, realloc, aligned_alloc, posix_memalign
  std::size_t largest_malloc = 0;  ///< bytes
};
void reset_allocations();
Allocations allocations();

}  // namespace resnet::test
