#include "runtime/device_text.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <vector>

#include "base/check.hpp"

namespace resnet {
namespace {

/// What the vendor publishes of one board per architecture (data sheets) and of the architecture itself (CUDA
/// programming guide: shared memory that one block may have).
struct Board {
  int sm = 0;
  const char* name = "";
  int multiprocessors = 0;
  double memory_gb_per_s = 0;
  std::size_t shared_kib_per_block = 0;
};
constexpr std::array boards{
    Board{75, "T4", 40, 320, 64},         Board{80, "A100 80GB SXM", 108, 2039, 163},
    Board{86, "RTX 3090", 82, 936, 99},   Board{87, "Jetson AGX Orin", 16, 204.8, 163},
    Board{89, "RTX 4090", 128, 1008, 99}, Board{90, "H100 SXM", 132, 3350, 227},
    Board{100, "B200", 148, 8000, 227},   Board{120, "RTX 5090", 170, 1792, 99},
};

[[noreturn]] void refuse(const std::string& text, const std::string& what) {
  std::string known;
  for (const Board& board : boards) known += (known.empty() ? "sm_" : ", sm_") + std::to_string(board.sm);
  fail(ErrorCode::invalid_argument, '"' + text + "\" " + what, "device_info",
       "write ARCHITECTURE,MULTIPROCESSORS[,GB_PER_S], for example sm_90,132 or sm_90,132,3350; known are " + known);
}

template <class Number>
bool read(std::string_view text, Number least, Number most, Number& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size() && value >= least && value <= most;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace

DeviceInfo parse_device_info(const std::string& text) {
  const auto parts = split(text);
  if (parts.size() < 2 || parts.size() > 3) refuse(text, "has " + std::to_string(parts.size()) + " of 2 or 3 parts");
  const Board* board = nullptr;
  for (const Board& known : boards) {
    if (parts[0] == "sm_" + std::to_string(known.sm)) board = &known;
  }
  if (board == nullptr) refuse(text, "names no known architecture");
  DeviceInfo device;
  device.kind = DeviceKind::cuda;
  device.sm = board->sm;
  if (!read(parts[1], 1, 1024, device.multiprocessors)) refuse(text, "has no number of multiprocessors from 1 to 1024");
  device.memory_gb_per_s = board->memory_gb_per_s * device.multiprocessors / board->multiprocessors;
  if (parts.size() == 3 && !read(parts[2], 1.0, 1e5, device.memory_gb_per_s))
    refuse(text, "has no memory bandwidth from 1 to 100000 GB/s");
  device.shared_bytes_per_block = board->shared_kib_per_block << 10;
  char name[96];
  std::snprintf(name, sizeof name, "sm_%d, %d multiprocessors, %.4g GB/s", device.sm, device.multiprocessors,
                device.memory_gb_per_s);
  device.name = name;
  return device;
}

}  // namespace resnet
