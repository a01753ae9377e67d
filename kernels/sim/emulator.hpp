#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/sim/thread_api.hpp"

/// Control of the emulator, for tests. All functions are thread-safe; none may be called while another thread is inside
/// a CUDA call whose work they change.
namespace resnet::sim {

enum class ReportKind : std::uint8_t {
  barrier,        ///< threads at different barriers, or some exited before one
  warp,           ///< a warp collective called wrongly, or a lane outside its mask read
  deadlock,       ///< threads wait for something that never comes
  shared_memory,  ///< shared memory allocated wrongly, or too much of it
  misaligned,
  out_of_bounds,
  uninitialised,
  race,
  async_copy,   ///< cp.async used wrongly
  canary,       ///< bytes beside an allocation were changed
  unsupported,  ///< what the pretend device cannot do
  trap,         ///< dev::trap()
};
std::string_view to_string(ReportKind kind);

/// One fault of a kernel.
struct Report {
  ReportKind kind;
  std::string kernel;
  Index3 block = {0, 0, 0};
  int thread = -1;  ///< in the block, -1: not the fault of one
  std::string file;
  unsigned line = 0;
  std::string message;
};
/// "race in conv_mma, block (1,0,0), thread 37, conv_mma.cu:120: ..."
std::string to_string(const Report& report);

/// When a cp.async lands: at once, when the thread waits for it, or either, drawn per copy.
enum class CopyPolicy : std::uint8_t { earliest, latest, random };
/// When enqueued work runs: at once, or when something waits for it.
enum class StreamPolicy : std::uint8_t { immediate, latest };

struct Schedule {
  std::uint64_t seed = 1;  ///< order of blocks and threads; 0: ascending
  CopyPolicy copies = CopyPolicy::random;
  StreamPolicy streams = StreamPolicy::immediate;
  bool truncating_mma = false;  ///< fp32 sums inside mma lose bits as matrix units may; sums of integers stay exact
  std::uint32_t sampled_blocks = 0;  ///< along x only the first, the middle and the last so many run; 0: all
};
void set_schedule(const Schedule& schedule);
Schedule schedule();

/// A device that the CUDA calls show.
struct PretendDevice {
  std::string name = "Emulated GPU";
  int sm = 90;
  int multiprocessors = 132;
  std::size_t memory_bytes = std::size_t{16} << 30;
  std::size_t shared_bytes_per_block = 227 * 1024;  ///< with opt-in
  std::size_t l2_bytes = std::size_t{50} << 20;
};
/// Replaces the devices (default: one) after a reset().
void set_devices(std::vector<PretendDevice> devices);

/// The faults since the last call, oldest first. A repeated fault at one source line of one launch is listed once.
std::vector<Report> take_reports();

/// Frees all memory, streams, events and graphs, clears errors and reports; keeps schedule and devices.
void reset();

/// Bytes in cudaMalloc'ed regions, of all devices: to find leaks.
std::size_t allocated_bytes();

}  // namespace resnet::sim
