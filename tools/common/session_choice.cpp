#include "common/session_choice.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "common/tool_error.hpp"

namespace resnet::tools {
namespace {

constexpr std::array<std::pair<std::string_view, Precision>, 6> precisions{{{"fp32", Precision::fp32},
                                                                            {"tf32", Precision::tf32},
                                                                            {"fp16", Precision::fp16},
                                                                            {"bf16", Precision::bf16},
                                                                            {"int8", Precision::int8},
                                                                            {"fp8", Precision::fp8}}};

/// The whole text as a decimal number without sign, or -1.
std::int64_t number(std::string_view text) {
  std::int64_t value = -1;
  if (text.empty() || text[0] == '-') return -1;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size() ? value : -1;
}

}  // namespace

Precision parse_precision(std::string_view name, std::string_view option) {
  for (const auto& [text, value] : precisions) {
    if (text == name) return value;
  }
  throw UsageError(std::string(option) + " " + std::string(name) + ": expected fp32, tf32, fp16, bf16, int8 or fp8");
}

std::string_view to_string(Precision precision) noexcept {
  for (const auto& [text, value] : precisions) {
    if (value == precision) return text;
  }
  return "unknown";
}

void check_device_name(std::string_view name, std::string_view option) {
  if (name == "auto" || name == "cpu" || name == "cuda" || name == "reference") return;
  if (name.starts_with("cuda:") && number(name.substr(5)) >= 0 && number(name.substr(5)) < 1024) return;
  throw UsageError(std::string(option) + ' ' + std::string(name) + ": expected auto, cpu, cuda, cuda:N or reference");
}

SessionOptions SessionArguments::options() const {
  SessionOptions session;
  check_device_name(device);
  session.device = device;
  session.precision = parse_precision(precision);
  session.threads = threads;
  for (const std::string& text : layer_precision) {
    const std::size_t equals = text.rfind('=');  // a name may hold one
    if (equals == std::string::npos || equals == 0)
      throw UsageError("--layer-precision " + text + ": expected LAYER=NAME, for example fc=fp32");
    const std::string layer = text.substr(0, equals);
    const Precision value = parse_precision(text.substr(equals + 1), "--layer-precision " + layer + ":");
    if (!session.layer_precision.emplace(layer, value).second)
      throw UsageError("--layer-precision " + text + ": the layer was given before");
  }
  session.force_implementations = force;
  session.forbid_implementations = forbid;
  session.times_file = times;
  return session;
}

Error in_option_words(const Error& error) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> words{
      {{"device_info", "--device-info"},
       {"layer_precision", "--layer-precision"},
       {"force_implementations", "--force-impl"},
       {"forbid_implementations", "--forbid-impl"}}};
  for (const auto& [member, option] : words) {
    if (error.where().ends_with(member)) return {error.code(), error.message(), std::string(option), error.next()};
  }
  return error;
}

std::string device_table(std::span<const DeviceReport> devices) {
  std::size_t width = 0;
  for (const DeviceReport& device : devices) width = std::max(width, device.name.size());
  std::string table;
  for (const DeviceReport& device : devices) {
    std::string about = device.model + (device.model.empty() || device.detail.empty() ? "" : ", ") + device.detail;
    if (!device.available) about += (about.empty() ? "not available: " : "; not available: ") + device.reason;
    table += device.name + std::string(width + 2 - device.name.size(), ' ') + about + '\n';
  }
  if (!table.empty()) table.pop_back();
  return table;
}

Size parse_size(std::string_view text) {
  constexpr std::int64_t longest = 16'384;  // of a picture's sides, too
  const std::size_t cross = text.find_first_of("xX");
  if (cross != std::string_view::npos) {
    const Size size{number(text.substr(0, cross)), number(text.substr(cross + 1))};
    if (size.height > 0 && size.width > 0 && std::max(size.height, size.width) <= longest) return size;
  }
  throw UsageError("--input-size " + std::string(text) +
                   ": expected HEIGHTxWIDTH, sides from 1 to 16384, for example 224x224");
}

}  // namespace resnet::tools
