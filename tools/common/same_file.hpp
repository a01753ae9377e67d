#pragma once

#include <filesystem>
#include <string>
#include <system_error>

namespace resnet::tools {

/// Where a symbolic link leads in the end, also when nothing is there yet; any other path as it is.
std::filesystem::path behind_links(std::filesystem::path path, std::error_code& error);

/// Whether two paths lead to one file, or would if it were there: links, "." and ".." are followed.
bool same_file(const std::string& a, const std::string& b);

}  // namespace resnet::tools
