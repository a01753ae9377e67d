#include <mutex>

#include "backends/cpu_device.hpp"
#include "backends/reference/reference_backend.hpp"
#include "base/log.hpp"

namespace resnet {

std::shared_ptr<Backend> make_cpu_device() {
  static std::once_flag once;
  std::call_once(once, [] {
    log(LogLevel::warning,
        "this build has no oneDNN: the device cpu runs the reference loops, many times slower. Install oneDNN "
        "(Debian: apt install libdnnl-dev) and build again.");
  });
  return make_reference_backend("cpu");
}

}  // namespace resnet
