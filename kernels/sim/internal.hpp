#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>

#include "kernels/cuda_api.hpp"
#include "kernels/sim/emulator.hpp"

/// What the emulator's source files share.
namespace resnet::sim {

/// xorshift64*: fast, and the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed = 1) : state_(seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du) {}
  std::uint32_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<std::uint32_t>((state_ * 0x2545f4914f6cdd1du) >> 32);
  }
  /// 0 .. n - 1
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(next()) * n) >> 32);
  }

 private:
  std::uint64_t state_;
};

constexpr unsigned char poison = 0xff;  ///< NaN in every float format
constexpr unsigned char canary = 0x5a;

/// While it lives, host memory that a kernel's thread touches is the emulator's: a report is text, and the linker may
/// give the emulator the hooked copy of a standard library's function.
class Reporting {
 public:
  Reporting() { ++depth; }
  ~Reporting() { --depth; }
  Reporting(const Reporting&) = delete;
  Reporting& operator=(const Reporting&) = delete;
  static constinit thread_local int depth;
};

/// Adds to the list. The kernel, block and thread are those that run now.
void add_report(ReportKind kind, const char* file, unsigned line, std::string message);
/// The same for the instrumented code that returns to `pc`.
void add_report(ReportKind kind, const void* pc, std::string message);
void clear_reports();

template <class... Parts>
void report(ReportKind kind, Site site, const Parts&... parts) {
  const Reporting reporting;
  std::ostringstream text;
  (text << ... << parts);
  add_report(kind, site.file, site.line, text.str());
}

/// Runs a grid to its end on the calling thread.
struct Launch {
  KernelHandle kernel;
  std::span<const std::byte> arguments;
  Index3 grid;
  unsigned threads = 0;
  std::size_t shared_bytes = 0;
  int device = 0;
  int sm = 90;
  Schedule schedule;
  std::uint64_t number = 0;  ///< of the launch, mixed into the seed
};
/// cudaSuccess, or the sticky error of a fault.
cudaError_t run_grid(const Launch& launch);
/// Tells the running launch about a fault: its error becomes that of the first.
void set_launch_error(ReportKind kind);
/// The launch that runs now, or null.
const Launch* running_launch();

}  // namespace resnet::sim
