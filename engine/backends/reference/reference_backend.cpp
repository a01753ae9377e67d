#include "backends/reference/reference_backend.hpp"

#include <array>
#include <string>

#include "backends/reference/entries.hpp"
#include "base/dtype.hpp"
#include "base/host_allocator.hpp"

namespace resnet {
namespace {

/// Order is priority among equal estimates.
constexpr std::array ordered_list{&reference::view, &reference::loop};

class ReferenceBackend final : public Backend {
 public:
  explicit ReferenceBackend(std::string_view name) : name_(name), device_(detect_cpu()) {
    device_.cores = 1;  // the loops run on the calling thread
  }

  std::string_view name() const override { return name_; }
  const DeviceInfo& device() const override { return device_; }
  DeviceAllocator& allocator() override { return allocator_; }
  std::span<const Implementation* const> implementations() const override { return ordered_list; }
  const Implementation* conversion() const override { return &reference::convert; }
  Support supports_precision(Precision precision) const override {
    if (precision == Precision::fp32) return Support::yes();
    return Support::no("the reference loops compute in fp32, not in " + std::string(to_string(precision)));
  }
  void begin_run(int, const CallerStream*) override {}
  void end_run() override {}

 private:
  std::string name_;
  DeviceInfo device_;
  HostAllocator allocator_;
};

}  // namespace

std::span<const Implementation* const> reference_entries() { return ordered_list; }

const Implementation& reference_conversion() { return reference::convert; }

std::shared_ptr<Backend> make_reference_backend(std::string_view name) {
  return std::make_shared<ReferenceBackend>(name);
}

}  // namespace resnet
