#pragma once

#include <cstddef>
#include <string>

namespace resnet::tools {

/// Notes a file that must not survive this process when a signal ends it. @throws ToolError when 64 are noted already
std::size_t remember_temporary_file(const std::string& path);
void forget_temporary_file(std::size_t slot) noexcept;

/// Unlinks every noted file of this process. Async-signal-safe.
void remove_temporary_files() noexcept;

}  // namespace resnet::tools
