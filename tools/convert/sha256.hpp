#pragma once

#include <string>

#include "convert/source_file.hpp"

namespace resnet::convert {

/// SHA-256 of the whole file as 64 hexadecimal digits; empty in a build without libcrypto (then no file is known).
std::string sha256_hex(const SourceFile& file);

/// What sha256_hex can do, for --version.
bool has_sha256() noexcept;

}  // namespace resnet::convert
