#include "unit/model/allocation_meter.hpp"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__has_feature)
#define RESNET_HAS_FEATURE(x) __has_feature(x)
#else
#define RESNET_HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || RESNET_HAS_FEATURE(address_sanitizer) || \
    RESNET_HAS_FEATURE(thread_sanitizer)
#define RESNET_COUNT_ALLOCATIONS 0
#else
#define RESNET_COUNT_ALLOCATIONS 1
#endif

namespace resnet::testing {
namespace {

std::atomic<std::size_t> live{0}, highest{0};
std::size_t at_start = 0;

}  // namespace

#if RESNET_COUNT_ALLOCATIONS
void* counted_allocate(std::size_t bytes) {
  void* block = std::malloc(bytes);
  if (block == nullptr) throw std::bad_alloc();
  const std::size_t now = live += malloc_usable_size(block);
  std::size_t seen = highest;
  while (now > seen && !highest.compare_exchange_weak(seen, now)) {
  }
  return block;
}

void counted_free(void* block) noexcept {
  live -= malloc_usable_size(block);
  std::free(block);
}
#endif

AllocationMeter::AllocationMeter() {
  at_start = live;
  highest = at_start;
}
std::size_t AllocationMeter::peak() const { return highest - at_start; }

}  // namespace resnet::testing

#if RESNET_COUNT_ALLOCATIONS
void* operator new(std::size_t bytes) { return resnet::testing::counted_allocate(bytes); }
void operator delete(void* block) noexcept { resnet::testing::counted_free(block); }
void operator delete(void* block, std::size_t) noexcept { resnet::testing::counted_free(block); }
#endif
