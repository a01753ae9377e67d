#pragma once

#include <string>

namespace resnet::sim {

struct SourceLine {
  std::string file;  ///< empty where the debug information says nothing
  unsigned line = 0;
};
/// Where the call is that returns to `return_address`.
SourceLine source_line(const void* return_address);

}  // namespace resnet::sim
