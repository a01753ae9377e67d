#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "resnet_engine/error.hpp"
#include "support/error_of.hpp"

namespace resnet::testing {

using Bytes = std::vector<std::byte>;
using test::error_of;

/// Header text of a file, padding included.
std::string header_of(const Bytes& file);
/// The same data under another header; the length is put right.
Bytes with_header(const Bytes& file, std::string_view header);
/// Replaces a text that occurs exactly once in the header; throws std::logic_error otherwise.
Bytes replaced(const Bytes& file, std::string_view from, std::string_view to);
Bytes from_text(std::string_view text);

/// The error with which the reader refuses a file.
Error refusal(const Bytes& file);

}  // namespace resnet::testing
