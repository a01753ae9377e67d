#include <array>

#include "backends/backend.hpp"
#include "backends/cpu_device.hpp"
#include "backends/cuda/cuda_backend.hpp"
#include "backends/reference/reference_backend.hpp"

namespace resnet {
namespace {

Support always(int) { return Support::yes(); }

std::shared_ptr<Backend> create_cpu(int) { return make_cpu_device(); }
std::shared_ptr<Backend> create_reference(int) { return make_reference_backend("reference"); }

std::vector<DeviceInfo> this_cpu() { return {detect_cpu()}; }

constexpr std::array entries{
    BackendEntry{"cuda", make_cuda_backend, cuda_backend_available, cuda_backend_devices, make_cuda_planner},
    BackendEntry{"cpu", create_cpu, always, this_cpu},
    BackendEntry{"reference", create_reference, always, this_cpu},
};

}  // namespace

std::span<const BackendEntry> backend_list() { return entries; }

}  // namespace resnet
