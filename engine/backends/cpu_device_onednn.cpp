#include "backends/cpu/cpu_backend.hpp"
#include "backends/cpu_device.hpp"
#include "backends/reference/reference_backend.hpp"

namespace resnet {

std::shared_ptr<Backend> make_cpu_device() { return make_cpu_backend(reference_entries()); }

}  // namespace resnet
