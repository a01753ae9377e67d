#include <cstddef>

#include "kernels/sim/access.hpp"

// Some compilers copy structs through memcpy, which no hook sees. Executables with hooked kernels are linked with
// --wrap for these three.

using resnet::sim::Access;
using resnet::sim::check_access;
using resnet::sim::current;
using resnet::sim::Origin;

#pragma GCC diagnostic ignored "-Wmissing-declarations"
extern "C" {
void* __real_memcpy(void*, const void*, std::size_t);
void* __real_memmove(void*, const void*, std::size_t);
void* __real_memset(void*, int, std::size_t);

void* __wrap_memcpy(void* to, const void* from, std::size_t bytes) {
  if (current) {
    check_access(from, bytes, Access::read, Origin{.pc = __builtin_return_address(0), .library_call = true});
    check_access(to, bytes, Access::write, Origin{.pc = __builtin_return_address(0), .library_call = true});
  }
  return __real_memcpy(to, from, bytes);
}

void* __wrap_memmove(void* to, const void* from, std::size_t bytes) {
  if (current) {
    check_access(from, bytes, Access::read, Origin{.pc = __builtin_return_address(0), .library_call = true});
    check_access(to, bytes, Access::write, Origin{.pc = __builtin_return_address(0), .library_call = true});
  }
  return __real_memmove(to, from, bytes);
}

void* __wrap_memset(void* to, int value, std::size_t bytes) {
  if (current) check_access(to, bytes, Access::write, Origin{.pc = __builtin_return_address(0), .library_call = true});
  return __real_memset(to, value, bytes);
}
}
