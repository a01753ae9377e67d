#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "model/model_file.hpp"

namespace resnet::convert {

inline constexpr std::size_t max_label_bytes = std::size_t{4} << 20;
inline constexpr std::size_t max_labels = max_json_values - 1;  ///< what a model file can list

/// Class names in index order, one per line of UTF-8; a byte order mark, carriage returns before line ends and empty
/// lines at the end do not count. @throws Error invalid_argument that names `where` and the line for an empty line
/// before the last name, control characters and what is no UTF-8; for no name at all, and beyond the limits
std::vector<std::string> parse_labels(std::string_view text, const std::string& where);

}  // namespace resnet::convert
