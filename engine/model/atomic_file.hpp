#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace resnet {

/// How write_file_atomically() keeps the unfinished file: without a name (Linux O_TMPFILE) or under a temporary one.
enum class TempFile { unnamed, named };

/// write_file_atomically() with the way chosen. `unnamed` falls back to `named` where the file system cannot do it.
void write_file_atomically(const std::string& path, std::span<const std::byte> bytes, TempFile kind);

}  // namespace resnet
