#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/device_info.hpp"
#include "kernels/host_data.hpp"
#include "support/problems.hpp"

/// What the tests know of the machine that runs the kernels. One file per executable fills it in: environment_sim.cpp
/// for the emulator, environment_gpu.cpp for a GPU.
namespace resnet::test {

struct Options {
  std::uint64_t seed = 1;
  int schedules = 2;  ///< runs of every case, each under another schedule; all must agree bit for bit
  Sizes sizes = Sizes::reduced;
  int random_problems = 500;
  std::string kernel;  ///< only the kernel of that name, else those whose name contains it
};
/// Set by main() before GoogleTest starts.
Options& options();
/// The options of this executable when the command line names none.
Options default_options();

/// The emulator shows several GPUs, a machine its own ones.
std::span<const DeviceInfo> devices();
/// Makes it the current device of this thread.
void use_device(const DeviceInfo& device);

/// How the emulator runs the threads, copies and streams of run number `run`. Of no effect on a GPU.
/// `truncating_mma`: sums inside the matrix unit lose bits, as real ones may.
void use_schedule(int run, bool truncating_mma);
/// Until the next use_schedule() the emulator runs only the first, the middle and the last `blocks` along a grid's x. A
/// GPU always runs all.
void use_block_sample(unsigned blocks);
/// Faults that the emulator saw since the last call.
std::vector<std::string> take_reports();

/// After a failed test, when nothing of it is left: clears errors that would fail all later calls. False where they
/// stay, as an illegal access does on a GPU: no later test of this process can say anything.
[[nodiscard]] bool recover();

bool is_emulator();
/// Every access to device memory is checked against its allocation, so canaries would only hide faults.
bool has_access_hooks();
/// For the oracle.
int host_threads();

/// The kernels of the catalog that --kernel leaves over.
std::vector<const kernels::Kernel*> tested_kernels();

}  // namespace resnet::test
