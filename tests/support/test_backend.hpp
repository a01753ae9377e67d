#pragma once

#include <initializer_list>
#include <vector>

#include "backends/backend.hpp"
#include "base/host_allocator.hpp"

namespace resnet::test {

/// Entries that do what the real backends will want one day, each on small float arithmetic that a reader can check.
/// Estimates: every special entry 1 us, the single one 10 us, a conversion 2 us; `slow_pair` costs 100 us.
namespace entries {
extern const Implementation pair;        ///< two nodes: add and the relu that alone reads it; nothing between in memory
extern const Implementation twins;       ///< two outputs: relu and sigmoid of the same value
extern const Implementation in_place;    ///< relu6, required to write over its input
extern const Implementation may_alias;   ///< silu, which may write over its input
extern const Implementation tiled;       ///< leaky_relu in a private layout: channels reversed and padded to 4
extern const Implementation single;      ///< any node by its reference loop (the reference backend's entry)
extern const Implementation conversion;  ///< between plain f32 and the private layout
}  // namespace entries

inline constexpr LayoutId reversed_layout = LayoutId::first_opaque;

/// A host backend over a list that the test picks.
class TestBackend final : public Backend {
 public:
  TestBackend(std::initializer_list<const Implementation*> list) : list_(list) {}

  std::string_view name() const override { return "test"; }
  const DeviceInfo& device() const override { return device_; }
  DeviceAllocator& allocator() override { return allocator_; }
  std::span<const Implementation* const> implementations() const override { return list_; }
  const Implementation* conversion() const override { return &entries::conversion; }
  Support supports_precision(Precision) const override { return Support::yes(); }
  void begin_run(int, const CallerStream*) override {}
  void end_run() override {}

 private:
  std::vector<const Implementation*> list_;
  DeviceInfo device_;
  HostAllocator allocator_;
};

}  // namespace resnet::test
