#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "convert/tensors.hpp"

namespace resnet::convert {

inline constexpr std::uint64_t max_map_bytes = 2u << 20;
inline constexpr std::size_t max_rules = 1000, max_rule_bytes = 1000, max_renamed_bytes = 1000;

/// Renames source keys: lines "pattern -> name". `*` in a pattern stands for any text; the n-th `*` of the name is
/// replaced by what the n-th `*` of the pattern matched. The name `-` drops the key. The first line that matches
/// counts; keys without a match keep their name. `#` starts a comment.
class KeyMap {
 public:
  KeyMap() = default;
  /// @throws Error invalid_argument that names `where` and the line
  static KeyMap parse(std::string_view text, const std::string& where);

  bool empty() const { return rules_.empty(); }
  /// "renames.txt line 3", of the rule with that number.
  std::string place(std::size_t rule) const;
  /// The new name, or an empty one for a dropped key. `rule` gets the number of the rule that matched, if one did.
  std::string apply(const std::string& key, std::size_t* rule = nullptr) const;

  std::size_t size() const { return rules_.size(); }
  const std::string& pattern(std::size_t number) const { return rules_.at(number).pattern; }

  /// The map from new names to old ones, of those of the rules `numbers` whose name has as many * as the pattern.
  KeyMap reversed(const std::set<std::size_t>& numbers) const;

 private:
  struct Rule {
    std::string pattern, name;
    int line = 0;
  };
  void add(Rule rule);
  /// The longest part of a pattern between dots that holds no *, which a key must have between its dots to match.
  static std::string_view required_part(std::string_view pattern);

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  std::string where_;
  std::vector<Rule> rules_;
  std::unordered_map<std::string, std::vector<std::size_t>, Hash, std::equal_to<>>
      by_part_;                      ///< rules' numbers, ascending
  std::vector<std::size_t> always_;  ///< those of patterns without such a part
};

/// Matches `text` against a pattern with `*`, and reports what each `*` stood for. Linear in pattern x text.
bool glob_match(std::string_view pattern, std::string_view text, std::vector<std::string_view>* matched);

/// Removes wrapper prefixes ("module.", "_orig_mod.", "model.") that all keys share. Returns what was removed.
std::string strip_common_prefixes(std::vector<SourceTensor>& tensors);

/// Renames or drops tensors. Returns the patterns that matched none.
/// @throws Error import_failed when two keys become one, invalid_argument for a name that becomes too long
std::vector<std::string> apply_key_map(const KeyMap& map, std::vector<SourceTensor>& tensors);

}  // namespace resnet::convert
