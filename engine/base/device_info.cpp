#include "base/device_info.hpp"

#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>
#include <utility>

namespace resnet {
namespace {

int read_topology(int cpu, const char* file) {
  std::ifstream in("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/" + file);
  int value = -1;
  in >> value;
  return in ? value : -1;
}

/// Hardware threads that share a core count once; CPUs outside the affinity mask do not count.
int physical_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 1;
  std::set<std::pair<int, int>> cores;
  for (unsigned cpu_index = 0; cpu_index < CPU_SETSIZE; ++cpu_index) {
    if (!CPU_ISSET(cpu_index, &mask)) continue;
    const int cpu = static_cast<int>(cpu_index);
    const int core = read_topology(cpu, "core_id");
    cores.emplace(read_topology(cpu, "physical_package_id"), core < 0 ? cpu : core);
  }
  return cores.empty() ? 1 : static_cast<int>(cores.size());
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) {
      const auto colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "unknown CPU";
}

}  // namespace

DeviceInfo detect_cpu() {
  DeviceInfo info;
  info.name = cpu_model();
  info.cores = physical_cores();
#if defined(__x86_64__)
  __builtin_cpu_init();
  info.avx2 = __builtin_cpu_supports("avx2") != 0;
  info.avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
  info.avx512_bf16 = __builtin_cpu_supports("avx512bf16") != 0;
#endif
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("flags")) {
      info.amx_bf16 = line.find(" amx_bf16") != std::string::npos;
      break;
    }
  }
  const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  info.l2_bytes = l2 > 0 ? static_cast<std::size_t>(l2) : 0;
  return info;
}

}  // namespace resnet
