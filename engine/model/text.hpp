#pragma once

#include <string>
#include <string_view>

namespace resnet {

/// A name from a file for an error message: in quotes, clipped, control characters replaced.
inline std::string quoted(std::string_view name) {
  constexpr std::size_t longest = 120;
  std::string text = "\"";
  for (const char c : name.substr(0, longest)) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  text += name.size() > longest ? "...\"" : "\"";
  return text;
}

/// "<where>: <kind> "<name>"", for example `model.rne: tensor "fc.weight"`.
inline std::string place(std::string_view where, std::string_view kind, std::string_view name) {
  return std::string(where) + ": " + std::string(kind) + ' ' + quoted(name);
}

}  // namespace resnet
