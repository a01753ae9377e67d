#include "convert/label_file.hpp"

#include <algorithm>
#include <cstdio>

#include "base/check.hpp"
#include "common/text.hpp"

namespace resnet::convert {
namespace {

void check_label(std::string_view label, const std::string& where) {
  if (label.empty()) fail(ErrorCode::invalid_argument, "is empty", where, "give every class a name, in index order");
  const auto control = std::find_if(label.begin(), label.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
  if (control != label.end()) {
    char byte[8];
    std::snprintf(byte, sizeof byte, "0x%02x", static_cast<unsigned>(static_cast<unsigned char>(*control)));
    fail(ErrorCode::invalid_argument, std::string("holds the control character ") + byte, where,
         "give a text file with one name per line");
  }
  if (tools::to_utf8(label) != label) fail(ErrorCode::invalid_argument, "is no UTF-8", where, "save the file as UTF-8");
}

}  // namespace

std::vector<std::string> parse_labels(std::string_view text, const std::string& where) {
  if (text.size() > max_label_bytes) {
    fail(ErrorCode::invalid_argument, "is larger than 4 MiB", where, "give a text file with one name per line");
  }
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  text = text.substr(0, text.find_last_not_of("\r\n") + 1);
  if (text.empty()) fail(ErrorCode::invalid_argument, "holds no label", where, "write one name per line");
  std::vector<std::string> labels;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string place = where + " line " + std::to_string(labels.size() + 1);
    if (labels.size() == max_labels) {
      fail(ErrorCode::invalid_argument, "is one more than the limit of " + std::to_string(max_labels) + " labels",
           place, "give one label per class");
    }
    check_label(line, place);
    labels.emplace_back(line);
    begin = end + 1;
  }
  return labels;
}

}  // namespace resnet::convert
