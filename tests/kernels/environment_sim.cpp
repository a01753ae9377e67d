#include <array>

#include "kernels/cuda_api.hpp"
#include "kernels/environment.hpp"
#include "kernels/sim/emulator.hpp"

namespace resnet::test {
namespace {

struct Gpu {
  const char* name;
  int sm, multiprocessors;
  std::size_t shared_kib, memory_gib, l2_mib;
  double memory_gb_per_s;
};

/// The newest first: it runs what the others cannot. One has a single multiprocessor: there kernels take their large
/// tiles and blocks come round more than once, at sizes that an emulator affords.
constexpr std::array gpus{
    Gpu{"emulated sm_90", 90, 132, 227, 141, 50, 4800},
    Gpu{"emulated sm_80", 80, 108, 163, 40, 40, 1555},
    Gpu{"emulated sm_75", 75, 40, 64, 16, 4, 320},
    Gpu{"emulated slice of sm_90", 90, 1, 227, 16, 6, 600},
};

std::vector<DeviceInfo> make_devices() {
  std::vector<DeviceInfo> list;
  std::vector<sim::PretendDevice> pretend;
  for (const Gpu& gpu : gpus) {
    sim::PretendDevice device;
    device.name = gpu.name, device.sm = gpu.sm, device.multiprocessors = gpu.multiprocessors;
    device.memory_bytes = gpu.memory_gib << 30, device.shared_bytes_per_block = gpu.shared_kib << 10;
    device.l2_bytes = gpu.l2_mib << 20;
    pretend.push_back(device);
    DeviceInfo info;
    info.kind = DeviceKind::cuda, info.index = static_cast<int>(list.size()), info.name = gpu.name;
    info.sm = gpu.sm, info.multiprocessors = gpu.multiprocessors, info.memory_bytes = device.memory_bytes;
    info.shared_bytes_per_block = device.shared_bytes_per_block, info.memory_gb_per_s = gpu.memory_gb_per_s;
    info.l2_bytes = device.l2_bytes;
    list.push_back(info);
  }
  sim::set_devices(std::move(pretend));
  return list;
}

}  // namespace

Options default_options() {
  Options defaults;
  if (has_access_hooks()) defaults.sizes = Sizes::tiny, defaults.schedules = 1, defaults.random_problems = 100;
  return defaults;
}

std::span<const DeviceInfo> devices() {
  static const std::vector<DeviceInfo> list = make_devices();
  return list;
}

void use_device(const DeviceInfo& device) { cuda_api().cudaSetDevice(device.index); }

void use_schedule(int run, bool truncating_mma) {
  sim::Schedule schedule;
  schedule.seed = options().seed * 1000 + static_cast<std::uint64_t>(run);
  constexpr sim::CopyPolicy copies[] = {sim::CopyPolicy::earliest, sim::CopyPolicy::latest, sim::CopyPolicy::random};
  schedule.copies = copies[run % 3];
  schedule.streams = run % 2 == 0 ? sim::StreamPolicy::immediate : sim::StreamPolicy::latest;
  schedule.truncating_mma = truncating_mma;
  sim::set_schedule(schedule);
}

void use_block_sample(unsigned blocks) {
  sim::Schedule schedule = sim::schedule();
  schedule.sampled_blocks = blocks;
  sim::set_schedule(schedule);
}

std::vector<std::string> take_reports() {
  std::vector<std::string> texts;
  for (const sim::Report& report : sim::take_reports()) texts.push_back(to_string(report));
  return texts;
}

bool recover() {
  sim::reset();
  return true;
}

bool is_emulator() { return true; }
bool has_access_hooks() { return RESNET_ACCESS_HOOKS != 0; }
int host_threads() { return 1; }  // ctest runs one shard per core

}  // namespace resnet::test
