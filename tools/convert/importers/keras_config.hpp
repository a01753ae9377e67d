#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "resnet_engine/error.hpp"

namespace resnet::convert {

/// Throws an error in a configuration again: its place begins with `where`, and it says what to do.
[[noreturn]] void explain(const Error& error, const std::string& where);

/// One layer's configuration, read field by field; a field that is null counts as absent. Every error names the file
/// and the layer.
class KerasConfig {
 public:
  KerasConfig() = default;
  /// @param json outlives this object
  KerasConfig(const Json& json, const std::string& where, const std::string& layer)
      : json_(&json), place_(where + ": layer \"" + layer + '"') {}

  /// "FILE: layer "NAME""
  const std::string& place() const { return place_; }
  /// @throws Error import_failed
  [[noreturn]] void refuse(const std::string& message, std::string next = {}) const;

  const Json* find(std::string_view key) const;
  /// Keras always writes what a layer is built from: where such a key is missing, it was damaged or renamed, and the
  /// default that it would stand for is not what was trained. Classes without such keys pass.
  /// @throws Error import_failed naming the key
  void check_keys(std::string_view class_name) const;
  // @throws Error bad_header when the field has another type.
  std::string text(std::string_view key, const char* fallback) const;
  std::int64_t integer(std::string_view key, std::int64_t fallback) const;
  double number(std::string_view key, double fallback) const;
  bool flag(std::string_view key, bool fallback) const;
  /// [vertical, horizontal], also from a single number.
  std::vector<std::int64_t> pair(std::string_view key, std::int64_t fallback) const;
  /// A number per channel, also from a single one or from nested lists of one element.
  std::vector<float> per_channel(std::string_view key, double fallback, std::int64_t channels) const;
  /// "valid" or "same".
  std::string padding() const;
  void need_channels_last() const;

 private:
  std::string where(std::string_view key) const { return place_ + ": " + std::string(key); }

  const Json* json_ = nullptr;
  std::string place_;
};

}  // namespace resnet::convert
