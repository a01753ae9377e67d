#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "backends/backend.hpp"
#include "plan/plan.hpp"
#include "resnet_engine/session.hpp"

namespace resnet {

/// What a kernel's self-test said.
struct SelfTestResult {
  bool passed = true;
  int cases = 0;        ///< that reached the kernel: cases x precisions
  std::string failure;  ///< the first case that went wrong, and how
  bool lasting = true;  ///< false where the device reported an error: another time it may not
};

/// Whether an entry is a kernel of ours, which answers for itself. A library is its vendor's business: it may sum
/// integers in ways that are not exact.
bool has_self_test(const Backend& backend, const Implementation& implementation);

/// Whether the kernels have run and passed all their tests on such a device, so that they need no self-test there.
bool has_hardware_record(const DeviceInfo& device);

/// Runs every case that reaches the entry, in every precision of the device, and compares with the reference loops bit
/// by bit. Milliseconds on a GPU. An error of the device counts as a failure.
SelfTestResult self_test(Backend& backend, std::string_view implementation);

/// Keeps a result for later sessions.
void keep_self_test(const DeviceInfo& device, std::string_view implementation, const SelfTestResult& result);

/// The self-tests of one session: each kernel is tested when a plan first wants it, unless the result is kept from
/// before for this binary, driver and device (base/result_cache.hpp).
class SelfTests {
 public:
  SelfTests(std::shared_ptr<Backend> backend, SelfTest mode);

  /// Tests what the plan uses and was not tested yet. Adds kernels that failed to `refused` with the reason, and says
  /// so in the log. @return whether the plan uses one of them and must be made again
  /// @throws Error device_failed when what changes layout and precision fails: nothing can take its place
  bool check(const Plan& plan, std::map<std::string, std::string, std::less<>>& refused);

  /// What was tested: name -> "passed" or the reason.
  const std::map<std::string, std::string, std::less<>>& results() const { return results_; }

 private:
  SelfTestResult kept_or_new(const std::string& implementation);

  std::shared_ptr<Backend> backend_;
  bool needed_;
  std::map<std::string, std::string, std::less<>> results_;
};

}  // namespace resnet
