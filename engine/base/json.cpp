#include "base/json.hpp"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/check.hpp"

namespace resnet {
namespace {

[[noreturn]] void wrong_type(std::string_view where, std::string_view expected) {
  fail(ErrorCode::bad_header, "expected " + std::string(expected), where.empty() ? "JSON" : where);
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          char escaped[8];
          std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
          out += escaped;
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  // The shortest text that reads back to the same value, whatever the locale.
  out += nlohmann::json(value).dump();
}

void append_break(std::string& out, int indent, int level) {
  if (indent < 0) return;
  out += '\n';
  out.append(static_cast<std::size_t>(indent * level), ' ');
}

void append(std::string& out, const Json& json, int indent, int level) {
  if (json.is_null()) {
    out += "null";
  } else if (json.is_bool()) {
    out += json.as_bool() ? "true" : "false";
  } else if (json.is_int()) {
    out += std::to_string(json.as_int());
  } else if (json.is_number()) {
    append_double(out, json.as_double());
  } else if (json.is_string()) {
    append_string(out, json.as_string());
  } else if (json.is_array()) {
    const auto& array = json.as_array();
    // Lists of scalars stay on one line: shapes and strides are read as one thing.
    bool nested = false;
    for (const auto& element : array) nested = nested || element.is_array() || element.is_object();
    const int inner = nested ? indent : -1;
    out += '[';
    for (std::size_t i = 0; i < array.size(); ++i) {
      if (i > 0) out += indent >= 0 && !nested ? ", " : ",";
      append_break(out, inner, level + 1);
      append(out, array[i], indent, level + 1);
    }
    if (!array.empty()) append_break(out, inner, level);
    out += ']';
  } else {
    const auto& object = json.as_object();
    out += '{';
    for (std::size_t i = 0; i < object.size(); ++i) {
      if (i > 0) out += ',';
      append_break(out, indent, level + 1);
      append_string(out, object[i].first);
      out += indent >= 0 ? ": " : ":";
      append(out, object[i].second, indent, level + 1);
    }
    if (!object.empty()) append_break(out, indent, level);
    out += '}';
  }
}

/// Builds the tree from events. A container is kept on its own stack until its end, so nesting costs no recursion.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(std::string_view where, const JsonLimits& limits) : where_(where), limits_(limits) {}

  bool null() override { return add(Json()); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(number_integer_t value) override { return add(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) too_large();
    return add(Json(static_cast<std::int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t& text) override {
    if (text.find_first_of(".eE") == string_t::npos) too_large();
    return add(Json(value));
  }
  bool string(string_t& value) override { return add(Json(std::move(value))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return start(Json::object()); }
  bool start_array(std::size_t) override { return start(Json::array()); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool key(string_t& name) override {
    count();
    if (!stack_.back().keys.insert(name).second) {
      fail(ErrorCode::bad_header, "duplicate key \"" + name.substr(0, 200) + '"', where_);
    }
    stack_.back().key = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail(ErrorCode::bad_header, "malformed JSON at byte " + std::to_string(position == 0 ? 0 : position - 1), where_);
  }

  Json result;

 private:
  struct Frame {
    Json container;
    std::string key;
    std::unordered_set<std::string> keys;
  };

  void count() {
    if (++values_ > limits_.max_values) {
      fail(ErrorCode::limit_exceeded, "more than " + std::to_string(limits_.max_values) + " JSON values", where_);
    }
  }
  [[noreturn]] void too_large() const { fail(ErrorCode::overflow, "an integer does not fit into 64 bits", where_); }
  bool add(Json value) {
    count();
    place(std::move(value));
    return true;
  }
  void place(Json value) {
    if (stack_.empty()) {
      result = std::move(value);
    } else if (stack_.back().container.is_array()) {
      stack_.back().container.push(std::move(value));
    } else {
      // keys are known to be new: append without the search of set()
      const_cast<Json::Object&>(stack_.back().container.as_object())
          .emplace_back(std::move(stack_.back().key), std::move(value));
    }
  }
  bool start(Json container) {
    count();
    if (static_cast<int>(stack_.size()) >= limits_.max_depth) {
      fail(ErrorCode::limit_exceeded, "JSON nested deeper than " + std::to_string(limits_.max_depth), where_);
    }
    stack_.push_back({std::move(container), {}, {}});
    return true;
  }
  bool end() {
    Json done = std::move(stack_.back().container);
    stack_.pop_back();
    place(std::move(done));
    return true;
  }

  std::string where_;
  JsonLimits limits_;
  std::size_t values_ = 0;
  std::vector<Frame> stack_;
};

}  // namespace

bool Json::as_bool(std::string_view where) const {
  if (const auto* v = std::get_if<bool>(&value_)) return *v;
  wrong_type(where, "true or false");
}
std::int64_t Json::as_int(std::string_view where) const {
  if (const auto* v = std::get_if<std::int64_t>(&value_)) return *v;
  wrong_type(where, "an integer");
}
double Json::as_double(std::string_view where) const {
  if (const auto* v = std::get_if<double>(&value_)) return *v;
  if (const auto* v = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*v);
  wrong_type(where, "a number");
}
const std::string& Json::as_string(std::string_view where) const {
  if (const auto* v = std::get_if<std::string>(&value_)) return *v;
  wrong_type(where, "a string");
}
const Json::Array& Json::as_array(std::string_view where) const {
  if (const auto* v = std::get_if<Array>(&value_)) return *v;
  wrong_type(where, "an array");
}
const Json::Object& Json::as_object(std::string_view where) const {
  if (const auto* v = std::get_if<Object>(&value_)) return *v;
  wrong_type(where, "an object");
}

const Json* Json::find(std::string_view key) const {
  if (const auto* object = std::get_if<Object>(&value_)) {
    for (const auto& [name, value] : *object) {
      if (name == key) return &value;
    }
  }
  return nullptr;
}

const Json& Json::at(std::string_view key, std::string_view where) const {
  if (const Json* value = find(key)) return *value;
  fail(ErrorCode::bad_header, "\"" + std::string(key) + "\" is missing", where.empty() ? "JSON" : where);
}

Json& Json::set(std::string key, Json value) {
  if (is_null()) value_ = Object{};
  auto& object = std::get<Object>(value_);
  for (auto& [name, old] : object) {
    if (name == key) {
      old = std::move(value);
      return *this;
    }
  }
  object.emplace_back(std::move(key), std::move(value));
  return *this;
}

Json& Json::push(Json value) {
  if (is_null()) value_ = Array{};
  std::get<Array>(value_).push_back(std::move(value));
  return *this;
}

std::string Json::dump(int indent) const {
  std::string out;
  append(out, *this, indent, 0);
  return out;
}

Json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits) {
  Builder builder(where, limits);
  // The library takes a zero byte for the end of the text and would not look behind it.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    fail(ErrorCode::bad_header, "malformed JSON at byte " + std::to_string(zero) + ": a zero byte", where);
  }
  if (!nlohmann::json::sax_parse(text, &builder)) fail(ErrorCode::bad_header, "malformed JSON", where);
  return std::move(builder.result);
}

}  // namespace resnet
