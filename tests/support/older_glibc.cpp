// arc4random() for executables that travel. Debian 12's static libstdc++ (std::random_device) takes it from glibc 2.36,
// and they must start on 2.35 (Ubuntu 22.04).

#include <sys/random.h>

#include <cstdint>
#include <cstdlib>

extern "C" std::uint32_t arc4random() noexcept {
  std::uint32_t value = 0;
  if (getrandom(&value, sizeof value, 0) != sizeof value) std::abort();
  return value;
}
