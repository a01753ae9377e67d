#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace resnet::tools {

/// The text with control characters as \xNN and bytes that are no UTF-8 as U+FFFD: names come from files, and a
/// terminal obeys escape sequences.
std::string printable(std::string_view text);

/// The text with bytes that are no UTF-8 as U+FFFD, for JSON.
std::string to_utf8(std::string_view text);

/// A CSV field, quoted by RFC 4180 where it holds a comma, a quote or a line break.
std::string csv_field(std::string_view text);

/// The shortest decimal text that reads back to the same float: "0.7713", "nan", "inf".
std::string shortest(float value);

/// 25557032 -> "25,557,032".
std::string grouped(std::int64_t value);
/// 100663296 -> "96.0 MiB".
std::string human_bytes(std::int64_t bytes);
/// Decimal prefixes: 4089184256 -> "4.09 G".
std::string human_count(double value);
/// printf's %.*f.
std::string fixed(double value, int digits);

/// A table with a header row, columns aligned to their widest cell, two spaces between them.
class Table {
 public:
  /// A column name that starts with '>' is right-aligned (the '>' is not shown).
  explicit Table(std::vector<std::string> columns);
  void row(std::vector<std::string> cells);
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

}  // namespace resnet::tools
