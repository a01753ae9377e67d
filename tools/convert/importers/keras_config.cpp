#include "convert/importers/keras_config.hpp"

#include <utility>

#include "base/check.hpp"

namespace resnet::convert {
namespace {

/// Numbers in lists, nested at most 8 deep.
void collect(const Json& json, std::vector<float>& out, int depth, const std::string& where) {
  if (!json.is_array() || depth > 8) {
    out.push_back(static_cast<float>(json.as_double(where)));
    return;
  }
  for (const Json& item : json.as_array()) collect(item, out, depth + 1, where);
}

}  // namespace

void KerasConfig::refuse(const std::string& message, std::string next) const {
  if (next.empty()) next = "replace it by layers that docs/convert.md lists, or export ONNX";
  fail(ErrorCode::import_failed, message, place_, std::move(next));
}

const Json* KerasConfig::find(std::string_view key) const {
  const Json* value = json_->find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool KerasConfig::is_null(std::string_view key) const {
  const Json* value = json_->find(key);
  return value != nullptr && value->is_null();
}

std::string KerasConfig::text(std::string_view key, const char* fallback) const {
  const Json* value = find(key);
  return value == nullptr ? fallback : value->as_string(where(key));
}

std::int64_t KerasConfig::integer(std::string_view key, std::int64_t fallback) const {
  const Json* value = find(key);
  return value == nullptr ? fallback : value->as_int(where(key));
}

double KerasConfig::number(std::string_view key, double fallback) const {
  const Json* value = find(key);
  return value == nullptr ? fallback : value->as_double(where(key));
}

bool KerasConfig::flag(std::string_view key, bool fallback) const {
  const Json* value = find(key);
  return value == nullptr ? fallback : value->as_bool(where(key));
}

std::vector<std::int64_t> KerasConfig::pair(std::string_view key, std::int64_t fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return {fallback, fallback};
  if (value->is_int()) return {value->as_int(), value->as_int()};
  const auto& list = value->as_array(where(key));
  if (list.size() != 2) refuse(std::string(key) + " has " + std::to_string(list.size()) + " numbers, 2 are expected");
  return {list[0].as_int(where(key)), list[1].as_int(where(key))};
}

std::vector<float> KerasConfig::per_channel(std::string_view key, double fallback, std::int64_t channels) const {
  std::vector<float> result;
  const Json* value = find(key);
  if (value == nullptr) {
    result.push_back(static_cast<float>(fallback));
  } else {
    collect(*value, result, 0, where(key));
  }
  if (result.size() == 1) result.assign(static_cast<std::size_t>(channels), result[0]);
  if (result.size() != static_cast<std::size_t>(channels)) {
    refuse(std::string(key) + " has " + std::to_string(result.size()) + " values for " + std::to_string(channels) +
           " channels");
  }
  return result;
}

std::string KerasConfig::padding() const {
  const std::string padding = text("padding", "valid");
  if (padding != "valid" && padding != "same") refuse("padding is \"" + padding + "\", not valid or same");
  return padding;
}

void KerasConfig::need_channels_last() const {
  if (text("data_format", "channels_last") == "channels_last") return;
  refuse("has data_format channels_first; only channels_last is read",
         "load the weights into the same model with data_format channels_last and save that");
}

}  // namespace resnet::convert
