#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace resnet {

/// The whole of a small regular file; nothing where there is none. Never waits for a pipe: it is refused by kind.
/// @throws Error io, limit_exceeded beyond `most_bytes`; the path is the place
std::optional<std::string> read_file(const std::string& path, std::size_t most_bytes);

}  // namespace resnet
