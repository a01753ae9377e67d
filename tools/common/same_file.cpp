#include "common/same_file.hpp"

#include <filesystem>
#include <system_error>

namespace resnet::tools {

bool same_file(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return false;
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  const auto place = [&](const std::string& path) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
  };
  const auto place_a = place(a), place_b = place(b);
  return !place_a.empty() && place_a == place_b;
}

}  // namespace resnet::tools
