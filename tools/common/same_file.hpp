#pragma once

#include <string>

namespace resnet::tools {

/// Whether two paths lead to one file, or would if it were there: links, "." and ".." are followed.
bool same_file(const std::string& a, const std::string& b);

}  // namespace resnet::tools
