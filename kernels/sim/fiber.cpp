#include "kernels/sim/fiber.hpp"

#include <sys/mman.h>

#include <new>

namespace resnet::sim {
namespace {

constexpr std::size_t guard_bytes = 4096;
// Sanitized frames are several times as large.
constexpr std::size_t stack_bytes = RESNET_SIM_ASAN ? 512 * 1024 : 64 * 1024;

}  // namespace

StackPool::~StackPool() {
  for (const Piece& piece : pieces_) munmap(piece.address, piece.bytes);
}

Stack StackPool::get(unsigned index) {
  constexpr std::size_t step = guard_bytes + stack_bytes;
  constexpr unsigned in_piece = 64;
  while (stacks_.size() <= index) {
    void* const memory =
        mmap(nullptr, in_piece * step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    pieces_.push_back({memory, in_piece * step});
    for (unsigned i = 0; i < in_piece; ++i) {
      std::byte* const guard = static_cast<std::byte*>(memory) + i * step;
      mprotect(guard, guard_bytes, PROT_NONE);
      stacks_.push_back({guard + guard_bytes, stack_bytes});
    }
  }
  return stacks_[index];
}

}  // namespace resnet::sim
