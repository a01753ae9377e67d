#include "kernels/compiled_for.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace resnet::kernels {
namespace {

bool covers(std::string_view architecture, int sm) {
  int built = 0;
  const char* const end = architecture.data() + architecture.size();
  const char* const rest = std::from_chars(architecture.data(), end, built).ptr;
  const std::string_view kind(rest, static_cast<std::size_t>(end - rest));
  if (!kind.empty() && kind[0] != '-') return built == sm;
  const bool machine_code = kind != "-virtual", ptx = kind != "-real";
  return (machine_code && built / 10 == sm / 10 && built <= sm) || (ptx && built <= sm);
}

}  // namespace

Support compiled_for(std::string_view architectures, int sm) {
  std::string names;
  for (std::size_t begin = 0; begin < architectures.size();) {
    const std::size_t end = std::min(architectures.find(',', begin), architectures.size());
    const std::string_view architecture = architectures.substr(begin, end - begin);
    if (covers(architecture, sm)) return Support::yes();
    names += (names.empty() ? "" : ", ") + std::string(architecture);
    begin = end + 1;
  }
  if (names.empty()) return Support::yes();
  const std::string own = std::to_string(sm);
  return Support::no("this build has no kernels for sm_" + own + ", only for " + names +
                     ": build with -DRESNET_CUDA_ARCHITECTURES=" + own + "-real");
}

}  // namespace resnet::kernels
