#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "model/model_file.hpp"

namespace resnet {

inline bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// A name from a file for an error message: in quotes, clipped, control characters replaced.
inline std::string quoted(std::string_view name) {
  constexpr std::size_t longest = 120;
  std::string text = "'";
  for (const char c : name.substr(0, longest)) text += is_control(c) ? '?' : c;
  text += name.size() > longest ? "...'" : "'";
  return text;
}

/// "<where>: <kind> '<name>'", for example "model.rne: tensor 'fc.weight'".
inline std::string place(std::string_view where, std::string_view kind, std::string_view name) {
  return std::string(where) + ": " + std::string(kind) + ' ' + quoted(name);
}

/// Names of layers and tensors reach terminals through error messages. @throws Error bad_header
inline void check_name(std::string_view name, std::string_view where) {
  if (name.size() > max_name_bytes || std::any_of(name.begin(), name.end(), is_control)) {
    fail(ErrorCode::bad_header,
         "names have at most " + std::to_string(max_name_bytes) + " bytes and no control characters", where);
  }
}

}  // namespace resnet
