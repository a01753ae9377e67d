#include "base/check.hpp"
#include "ops/op.hpp"
#include "ops/rule.hpp"

namespace resnet {

namespace {

std::string_view type_name(const AttrValue& value) {
  switch (value.index()) {
    case 0:
      return "true or false";
    case 1:
      return "an integer";
    case 2:
      return "a number";
    case 3:
      return "a string";
    default:
      return "a list of integers";
  }
}

std::string known_names(const OpDef& op) {
  if (op.attrs.empty()) return std::string(op.name) + " has no attributes";
  std::string text = std::string(op.name) + " knows";
  for (const AttrSpec& spec : op.attrs) text.append(&spec == op.attrs.data() ? " " : ", ").append(spec.name);
  return text;
}

template <class T>
const T& get(const AttrMap& attrs, std::string_view name) {
  const auto found = attrs.find(name);
  if (found == attrs.end()) fail(ErrorCode::bad_attribute, "attribute '" + std::string(name) + "' is missing");
  const T* value = std::get_if<T>(&found->second);
  if (!value) {
    fail(ErrorCode::bad_attribute,
         "attribute '" + std::string(name) + "' is not " + std::string(type_name(AttrValue(T{}))));
  }
  return *value;
}

}  // namespace

AttrMap complete_attrs(const OpDef& op, const AttrMap& attrs, std::string_view layer) {
  AttrMap complete;
  for (const AttrSpec& spec : op.attrs) {
    const auto given = attrs.find(spec.name);
    if (given == attrs.end()) {
      if (spec.required) {
        fail(ErrorCode::bad_attribute, std::string(op.name) + " needs the attribute '" + std::string(spec.name) + "'",
             ops::layer_text(layer), std::string(spec.doc));
      }
      complete.emplace(spec.name, spec.fallback);
    } else if (given->second.index() == spec.fallback.index()) {
      complete.emplace(spec.name, given->second);
    } else if (const auto* integer = std::get_if<std::int64_t>(&given->second);
               integer && std::holds_alternative<double>(spec.fallback)) {
      complete.emplace(spec.name, static_cast<double>(*integer));
    } else {
      fail(ErrorCode::bad_attribute,
           "attribute '" + std::string(spec.name) + "' must be " + std::string(type_name(spec.fallback)) + ", not " +
               std::string(type_name(given->second)),
           ops::layer_text(layer));
    }
  }
  for (const auto& [name, value] : attrs) {
    if (!complete.contains(name)) {
      fail(ErrorCode::bad_attribute, "unknown attribute '" + name + "'", ops::layer_text(layer), known_names(op));
    }
  }
  return complete;
}

std::int64_t int_attr(const AttrMap& attrs, std::string_view name) { return get<std::int64_t>(attrs, name); }

double float_attr(const AttrMap& attrs, std::string_view name) {
  const auto found = attrs.find(name);
  if (found != attrs.end()) {
    if (const auto* integer = std::get_if<std::int64_t>(&found->second)) return static_cast<double>(*integer);
  }
  return get<double>(attrs, name);
}

bool bool_attr(const AttrMap& attrs, std::string_view name) { return get<bool>(attrs, name); }

const std::string& string_attr(const AttrMap& attrs, std::string_view name) { return get<std::string>(attrs, name); }

const std::vector<std::int64_t>& ints_attr(const AttrMap& attrs, std::string_view name) {
  return get<std::vector<std::int64_t>>(attrs, name);
}

}  // namespace resnet
