#pragma once

#include <algorithm>
#include <random>
#include <string>

namespace resnet::test {

/// One to four random changes: a byte, a bit, bytes removed, bytes repeated, an extreme number.
inline void mutate(std::string& bytes, std::mt19937& random) {
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  const std::size_t changes = 1 + below(4);
  for (std::size_t i = 0; i < changes && !bytes.empty(); ++i) {
    const std::size_t at = below(bytes.size());
    switch (below(5)) {
      case 0:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 2:
        bytes.erase(at, 1 + below(8));
        break;
      case 3:
        bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(16)));
        break;
      default:  // an extreme number
        for (std::size_t j = at; j < std::min(at + 4, bytes.size()); ++j) bytes[j] = static_cast<char>(below(2) * 255);
    }
  }
}

}  // namespace resnet::test
