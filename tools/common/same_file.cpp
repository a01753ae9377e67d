#include "common/same_file.hpp"

namespace resnet::tools {

std::filesystem::path behind_links(std::filesystem::path path, std::error_code& error) {
  constexpr int most = 40;  // Linux follows as many
  std::error_code not_there;
  for (int links = 0; std::filesystem::is_symlink(path, not_there); ++links) {
    if (links == most) error = std::make_error_code(std::errc::too_many_symbolic_link_levels);
    const auto to = error ? std::filesystem::path() : std::filesystem::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / to;  // an absolute `to` replaces it
  }
  return path;
}

bool same_file(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return false;
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  const auto place = [&](const std::string& path) {
    std::error_code loop;
    return std::filesystem::weakly_canonical(std::filesystem::absolute(behind_links(path, loop), error), error);
  };
  const auto place_a = place(a), place_b = place(b);
  return !place_a.empty() && place_a == place_b;
}

}  // namespace resnet::tools
