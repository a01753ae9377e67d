#pragma once

#include <cstddef>

namespace resnet::test {

/// Allocations through operator new of this executable and of the objects linked into it, and all of the process through
/// malloc (libraries included), since the last reset. Link allocation_counter.cpp into exactly the tests that count.
struct Allocations {
  std::size_t news = 0;           ///< operator new
  std::size_t mallocs = 0;        ///< malloc, calloc, realloc, aligned_alloc, posix_memalign
  std::size_t largest_malloc = 0; ///< bytes
};
void reset_allocations();
Allocations allocations();

}  // namespace resnet::test
