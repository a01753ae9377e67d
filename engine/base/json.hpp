#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace resnet {

/// A JSON value. Objects keep the order of their keys; parsing refuses duplicate ones.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default;  ///< null
  Json(bool value) : value_(value) {}
  Json(int value) : value_(std::int64_t{value}) {}
  Json(std::int64_t value) : value_(value) {}
  Json(std::size_t value) : value_(static_cast<std::int64_t>(value)) {}
  Json(double value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}
  static Json array() { return Array{}; }
  static Json object() { return Object{}; }

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(value_); }
  bool is_number() const { return is_int() || std::holds_alternative<double>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  /// Typed access. @throws Error bad_header that says what was expected at `where`
  bool as_bool(std::string_view where = {}) const;
  std::int64_t as_int(std::string_view where = {}) const;
  double as_double(std::string_view where = {}) const;
  const std::string& as_string(std::string_view where = {}) const;
  const Array& as_array(std::string_view where = {}) const;
  const Object& as_object(std::string_view where = {}) const;

  /// Member of an object, or null when absent (or when this is no object).
  const Json* find(std::string_view key) const;
  /// @throws Error bad_header when absent
  const Json& at(std::string_view key, std::string_view where = {}) const;

  /// Appends or overwrites a member; a null value becomes an object first.
  Json& set(std::string key, Json value);
  /// Appends an element; a null value becomes an array first.
  Json& push(Json value);

  /// Text with `indent` spaces per level, or on one line for indent < 0. Non-finite numbers become null. UTF-8 is kept.
  std::string dump(int indent = -1) const;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

struct JsonLimits {
  std::size_t max_values = 200'000;  ///< scalars, arrays, objects and keys together
  int max_depth = 64;
};

/// Parses UTF-8 JSON with nothing before or after it. Limits and duplicate keys are checked while parsing, before a
/// tree is built. @throws Error bad_header, limit_exceeded, overflow (an integer beyond 64 bits); `where` and the byte
/// offset name the place
Json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits = {});

}  // namespace resnet
