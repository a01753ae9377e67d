#include "verify/report.hpp"

#include <cmath>
#include <cstdio>

#include "common/text.hpp"

namespace resnet::tools {
namespace {

std::string scientific(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2e", value);
  return text;
}

/// Of values that are not finite, ours and the expected ones.
std::string not_finite(const Difference& d) {
  return std::to_string(d.not_finite()) + " / " + std::to_string(d.expected_not_finite());
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json value_json(const Verification::Value& value, double tolerance) {
  const Difference& d = value.difference;
  return Json::Object{{"name", to_utf8(value.name)},
                      {"elements", d.elements()},
                      {"max_abs", number(d.max_abs())},
                      {"relative_l2", number(d.relative_l2())},
                      {"cosine", number(d.cosine())},
                      {"not_finite", d.not_finite()},
                      {"expected_not_finite", d.expected_not_finite()},
                      {"within", d.within(tolerance)}};
}

}  // namespace

std::string verify_text(const VerifyOptions& options, const Verification& result) {
  const auto past = result.first_past(options.tolerance);
  Table table({"value", ">elements", ">max abs", ">relative L2", ">cosine", ">not finite", ""});
  const auto row = [&](const Verification::Value& value) {
    const Difference& d = value.difference;
    table.row({printable(value.name), grouped(d.elements()), scientific(d.max_abs()), scientific(d.relative_l2()),
               fixed(d.cosine(), 8), not_finite(d), past == &value ? "first past the tolerance" : ""});
  };
  for (const auto& layer : result.layers) row(layer);
  row(result.output);
  const std::string images = std::to_string(result.images) + (result.images == 1 ? " image" : " images") + " of " +
                             std::to_string(result.height) + "x" + std::to_string(result.width) + "x" +
                             std::to_string(result.channels);
  return printable(options.model) + " on " + result.device + " against " + printable(result.against) + ": " + images +
         (options.input.empty() ? " of made-up values" : " from " + printable(options.input)) + "\n" + table.text() +
         "Largest output at the same place in " + std::to_string(result.same_class) + " of " +
         std::to_string(result.images) + ". " + (past ? "DIFFERENT: " + printable(past->name) : "Equal: output") +
         " has relative L2 " + scientific((past ? past : &result.output)->difference.relative_l2()) + ", tolerance " +
         scientific(options.tolerance) + "\n";
}

Json verify_json(const VerifyOptions& options, const Verification& result) {
  const auto past = result.first_past(options.tolerance);
  Json layers = Json::array();
  for (const auto& layer : result.layers) layers.push(value_json(layer, options.tolerance));
  return Json::Object{{"model", to_utf8(options.model)},
                      {"device", result.device},
                      {"against", to_utf8(result.against)},
                      {"images", result.images},
                      {"tolerance", options.tolerance},
                      {"layers", std::move(layers)},
                      {"output", value_json(result.output, options.tolerance)},
                      {"same_class", result.same_class},
                      {"first_past", past ? Json(to_utf8(past->name)) : Json()},
                      {"equal", !past}};
}

}  // namespace resnet::tools
