#include "convert/key_map.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/check.hpp"

namespace resnet::convert {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text, std::vector<std::string_view>* matched) {
  // The parts between the stars are searched from left to right, the last one at the end: no backtracking.
  if (matched != nullptr) matched->clear();
  std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  for (std::size_t position = star; star != std::string_view::npos;) {
    const std::size_t next = pattern.find('*', star + 1);
    const std::string_view part = pattern.substr(star + 1, next == std::string_view::npos ? next : next - star - 1);
    std::size_t found = text.find(part, position);
    if (next == std::string_view::npos) {
      if (text.size() < position + part.size() || !text.ends_with(part)) return false;
      found = text.size() - part.size();
    }
    if (found == std::string_view::npos) return false;
    if (matched != nullptr) matched->push_back(text.substr(position, found - position));
    position = found + part.size();
    star = next;
  }
  return true;
}

KeyMap KeyMap::parse(std::string_view text, const std::string& where) {
  KeyMap map;
  map.where_ = where;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const std::string place = where + " line " + std::to_string(number);
    if (line.size() > max_rule_bytes) {
      fail(ErrorCode::invalid_argument, "has " + std::to_string(line.size()) + " bytes, the limit is 1000", place,
           "no key is that long: shorten the pattern with *");
    }
    if (map.rules_.size() == max_rules) {
      fail(ErrorCode::invalid_argument, "is one rule more than the limit of 1000", place,
           "let one pattern with * rename many keys");
    }
    const std::size_t arrow = line.find("->");
    if (arrow == std::string_view::npos) {
      fail(ErrorCode::invalid_argument, "expected \"pattern -> name\"", place, "docs/convert.md shows examples");
    }
    Rule rule{std::string(trimmed(line.substr(0, arrow))), std::string(trimmed(line.substr(arrow + 2))), number};
    if (rule.pattern.empty() || rule.name.empty()) {
      fail(ErrorCode::invalid_argument, "pattern or name is empty", place, "write \"-\" as the name to drop a key");
    }
    const auto stars = [](const std::string& s) { return std::count(s.begin(), s.end(), '*'); };
    if (stars(rule.name) > stars(rule.pattern)) {
      fail(ErrorCode::invalid_argument, "the name has more * than the pattern", place,
           "each * of the name stands for what one of the pattern matched");
    }
    map.add(std::move(rule));
  }
  return map;
}

std::string KeyMap::place(std::size_t rule) const { return where_ + " line " + std::to_string(rules_.at(rule).line); }

std::string_view KeyMap::required_part(std::string_view pattern) {
  std::string_view longest;
  for (std::size_t begin = 0; begin <= pattern.size();) {
    const std::size_t end = std::min(pattern.find('.', begin), pattern.size());
    const std::string_view part = pattern.substr(begin, end - begin);
    if (part.find('*') == std::string_view::npos && part.size() > longest.size()) longest = part;
    begin = end + 1;
  }
  return longest;
}

void KeyMap::add(Rule rule) {
  const std::string_view part = required_part(rule.pattern);
  (part.empty() ? always_ : by_part_[std::string(part)]).push_back(rules_.size());
  rules_.push_back(std::move(rule));
}

std::string KeyMap::apply(const std::string& key, std::size_t* number) const {
  std::size_t best = rules_.size();
  std::vector<std::string_view> matched;
  const auto try_rules = [&](const std::vector<std::size_t>& numbers) {
    for (const std::size_t i : numbers) {
      if (i >= best) return;
      if (glob_match(rules_[i].pattern, key, nullptr)) best = i;
    }
  };
  try_rules(always_);
  for (std::size_t begin = 0; begin <= key.size() && !by_part_.empty();) {
    const std::size_t end = std::min(key.find('.', begin), key.size());
    const auto known = by_part_.find(std::string_view(key).substr(begin, end - begin));
    if (known != by_part_.end()) try_rules(known->second);
    begin = end + 1;
  }
  if (best == rules_.size()) return key;
  const Rule& rule = rules_[best];
  if (number != nullptr) *number = best;
  if (rule.name == "-") return {};
  glob_match(rule.pattern, key, &matched);
  std::string name;
  std::size_t star = 0;
  for (const char c : rule.name) {
    if (c == '*') {
      name += matched[star++];
    } else {
      name += c;
    }
  }
  return name;
}

KeyMap KeyMap::reversed(const std::set<std::size_t>& numbers) const {
  KeyMap result;
  for (const std::size_t i : numbers) {
    const Rule& rule = rules_.at(i);
    const auto stars = [](const std::string& s) { return std::count(s.begin(), s.end(), '*'); };
    if (stars(rule.name) == stars(rule.pattern)) result.add({rule.name, rule.pattern, rule.line});
  }
  return result;
}

std::string strip_common_prefixes(std::vector<SourceTensor>& tensors) {
  static constexpr std::array<std::string_view, 3> prefixes = {"module.", "_orig_mod.", "model."};
  std::string removed;
  for (bool again = !tensors.empty(); again;) {
    again = false;
    for (const std::string_view prefix : prefixes) {
      if (!std::all_of(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name.starts_with(prefix); }))
        continue;
      for (SourceTensor& tensor : tensors) tensor.name.erase(0, prefix.size());
      removed += prefix;
      again = removed.size() < 256;
    }
  }
  return removed;
}

std::vector<std::string> apply_key_map(const KeyMap& map, std::vector<SourceTensor>& tensors) {
  if (map.empty()) return {};
  std::vector<bool> used(map.size(), false);
  std::map<std::string, std::string> sources;  // new name -> old
  std::vector<SourceTensor> kept;
  for (SourceTensor& tensor : tensors) {
    std::size_t rule = map.size();
    std::string name = map.apply(tensor.name, &rule);
    if (rule < map.size()) used[rule] = true;
    if (name.empty()) continue;
    if (name.size() > max_renamed_bytes && name != tensor.name) {
      fail(ErrorCode::invalid_argument,
           "makes a name of " + std::to_string(name.size()) + " bytes of \"" + tensor.name.substr(0, 60) +
               (tensor.name.size() > 60 ? "...\"" : "\"") + ", the limit is 1000",
           map.place(rule), "give a shorter name");
    }
    const auto [other, added] = sources.emplace(name, tensor.name);
    if (!added) {
      fail(ErrorCode::import_failed,
           "\"" + other->second + "\" and \"" + tensor.name + "\" both become \"" + name + '"', "--map",
           "make the patterns more specific");
    }
    tensor.name = std::move(name);
    kept.push_back(std::move(tensor));
  }
  tensors = std::move(kept);
  std::vector<std::string> unused;
  for (std::size_t i = 0; i < map.size(); ++i) {
    if (!used[i]) unused.push_back(map.pattern(i));
  }
  return unused;
}

}  // namespace resnet::convert
