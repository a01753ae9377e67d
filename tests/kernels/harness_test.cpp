#include <gtest/gtest.h>

#include "kernels/cuda_api.hpp"
#include "kernels/kernel_run.hpp"

/// The harness against kernels that do wrong things: made of copies and memsets, so that they run everywhere.
namespace resnet::test {
namespace {

PointwiseProblem copy_problem() {
  PointwiseProblem p;
  p.N = 2, p.positions_per_image = 9, p.C = 8;
  return p;
}

constexpr std::size_t bytes = 2 * 9 * 8 * sizeof(float);

using Launch = cudaError_t (*)(const kernels::Problem&, const kernels::Operands&, const kernels::LaunchTarget&);

/// A copy kernel that behaves, and then does something more.
RunResult run(Launch launch) {
  kernels::Kernel kernel;
  kernel.name = "fake";
  kernel.supports = [](const kernels::Problem&, const DeviceInfo&) { return Support::yes(); };
  kernel.workspace_bytes = [](const kernels::Problem&, const DeviceInfo&) { return std::size_t{64}; };
  kernel.launch = launch;
  const kernels::Problem problem = copy_problem();
  return run_kernel(kernel, problem, devices().front(), make_data(problem, DataKind::signed_integers, 1));
}

cudaError_t copy(const kernels::Operands& operands, cudaStream_t stream) {
  return cuda_api().cudaMemcpyAsync(operands.y, operands.x, bytes, cudaMemcpyDeviceToDevice, stream);
}

cudaError_t set(void* address, std::ptrdiff_t offset, cudaStream_t stream) {
  return cuda_api().cudaMemsetAsync(static_cast<std::byte*>(address) + offset, 0, 1, stream);
}

std::string verdict(const RunResult& result) {
  const kernels::Problem problem = copy_problem();
  const HostData data = make_data(problem, DataKind::signed_integers, 1);
  return judge(problem, DataKind::signed_integers, exact_result(problem, data), result);
}

bool has_fault(const RunResult& result, const std::string& text) {
  for (const std::string& fault : result.faults) {
    if (fault.find(text) != std::string::npos) return true;
  }
  return false;
}

TEST(Harness, FindsNothingWrongWithACopy) {
  const RunResult result = run(
      [](const auto&, const kernels::Operands& operands, const auto& target) { return copy(operands, target.stream); });
  EXPECT_EQ(result.error, cudaSuccess);
  EXPECT_TRUE(result.faults.empty()) << result.faults.front();
  EXPECT_EQ(verdict(result), "");
}

TEST(Harness, SeesAWriteBehindTheOutput) {
  if (has_access_hooks()) GTEST_SKIP() << "the access hooks see it";
  const RunResult result = run([](const auto&, const kernels::Operands& operands, const auto& target) {
    set(operands.y, static_cast<std::ptrdiff_t>(bytes) + 5, target.stream);
    return copy(operands, target.stream);
  });
  EXPECT_TRUE(has_fault(result, "y was written to 5 bytes after its end"));
}

TEST(Harness, SeesAWriteBeforeTheWorkspace) {
  if (has_access_hooks()) GTEST_SKIP() << "the access hooks see it";
  const RunResult result = run([](const auto&, const kernels::Operands& operands, const auto& target) {
    set(operands.workspace, -3, target.stream);
    return copy(operands, target.stream);
  });
  EXPECT_TRUE(has_fault(result, "workspace was written to 3 bytes before its start"));
}

TEST(Harness, SeesAChangedInput) {
  const RunResult result = run([](const auto&, const kernels::Operands& operands, const auto& target) {
    const cudaError_t error = copy(operands, target.stream);
    cuda_api().cudaMemsetAsync(const_cast<void*>(operands.x), 0x55, bytes, target.stream);
    return error;
  });
  EXPECT_TRUE(has_fault(result, "the input x was changed at byte"));
}

TEST(Harness, SeesASemaphoreThatIsNotPutBack) {
  const RunResult result = run([](const auto&, const kernels::Operands& operands, const auto& target) {
    cuda_api().cudaMemsetAsync(operands.semaphores + 17, 1, 4, target.stream);
    return copy(operands, target.stream);
  });
  EXPECT_TRUE(has_fault(result, "semaphores are not zero"));
}

TEST(Harness, SeesAnElementThatNobodyWrites) {
  const RunResult result = run([](const auto&, const kernels::Operands& operands, const auto& target) {
    return cuda_api().cudaMemcpyAsync(operands.y, operands.x, bytes - 4, cudaMemcpyDeviceToDevice, target.stream);
  });
  EXPECT_NE(verdict(result).find("1 of 144 elements, the first at (n,p,q,k) = (1,8,0,7)"), std::string::npos)
      << verdict(result);
}

TEST(Harness, SeesALaunchOnAnotherStream) {
  if (!is_emulator()) GTEST_SKIP() << "on a GPU it may win the race";
  // Under the schedule that runs streams as late as it may, the work of the legacy stream is not waited for.
  RunOptions how;
  how.run = 1;
  kernels::Kernel kernel;
  kernel.name = "fake";
  kernel.supports = [](const kernels::Problem&, const DeviceInfo&) { return Support::yes(); };
  kernel.workspace_bytes = [](const kernels::Problem&, const DeviceInfo&) { return std::size_t{0}; };
  kernel.launch = [](const kernels::Problem&, const kernels::Operands& operands, const kernels::LaunchTarget&) {
    cudaStream_t other = nullptr;
    cuda_api().cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    return copy(operands, other);
  };
  const kernels::Problem problem = copy_problem();
  const RunResult result =
      run_kernel(kernel, problem, devices().front(), make_data(problem, DataKind::signed_integers, 1), how);
  EXPECT_NE(verdict(result), "");
}

}  // namespace
}  // namespace resnet::test
