#include "support/allocation_counter.hpp"

#include <dlfcn.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> news{0}, mallocs{0}, largest{0};

void book(std::size_t bytes) {
  mallocs.fetch_add(1, std::memory_order_relaxed);
  std::size_t seen = largest.load(std::memory_order_relaxed);
  while (bytes > seen && !largest.compare_exchange_weak(seen, bytes, std::memory_order_relaxed)) {
  }
}

}  // namespace

// glibc's own entry points stay reachable under these names, so the hooks need no dlsym, which itself allocates.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

__attribute__((visibility("default"))) void* malloc(std::size_t bytes) {
  book(bytes);
  return __libc_malloc(bytes);
}
__attribute__((visibility("default"))) void* calloc(std::size_t count, std::size_t bytes) {
  book(count * bytes);
  return __libc_calloc(count, bytes);
}
__attribute__((visibility("default"))) void* realloc(void* block, std::size_t bytes) {
  book(bytes);
  return __libc_realloc(block, bytes);
}
__attribute__((visibility("default"))) void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  book(bytes);
  return __libc_memalign(alignment, bytes);
}
__attribute__((visibility("default"))) int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) {
  book(bytes);
  *block = __libc_memalign(alignment, bytes);
  return *block == nullptr ? 12 : 0;
}
}

/// First and one past the last address of this executable's code, from the linker.
extern "C" const char __executable_start, etext;

void* operator new(std::size_t bytes) {
  // Libraries reach this operator too: only calls from our own code count.
  const void* const caller = __builtin_return_address(0);
  if (caller >= &__executable_start && caller < &etext) news.fetch_add(1, std::memory_order_relaxed);
  if (void* block = std::malloc(bytes == 0 ? 1 : bytes)) return block;
  throw std::bad_alloc();
}
void* operator new[](std::size_t bytes) {
  const void* const caller = __builtin_return_address(0);
  if (caller >= &__executable_start && caller < &etext) news.fetch_add(1, std::memory_order_relaxed);
  if (void* block = std::malloc(bytes == 0 ? 1 : bytes)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }

namespace resnet::test {

void reset_allocations() { news = mallocs = largest = 0; }
Allocations allocations() { return {news, mallocs, largest}; }

}  // namespace resnet::test
