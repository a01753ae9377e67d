#include "runtime/session_plan.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/names.hpp"

namespace resnet {
namespace {

void require_layer(const Graph& graph, const std::string& layer, const char* where) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) {
    if (node.name == layer) return;
    names.push_back(node.name);
  }
  fail(ErrorCode::invalid_argument, "the model has no layer \"" + layer + '"', where,
       "the nearest name is \"" + nearest_name(layer, names) + '"');
}

void require_implementation(const Backend& backend, const std::string& name, const char* where) {
  std::vector<std::string> names;
  for (const Implementation* entry : backend.implementations()) names.emplace_back(entry->name);
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  if (backend.conversion() != nullptr && backend.conversion()->name == name) {
    fail(ErrorCode::invalid_argument,
         '"' + name + "\" only changes layout or precision and can be neither forced nor forbidden", where);
  }
  fail(ErrorCode::invalid_argument, std::string(backend.name()) + " has no implementation \"" + name + '"', where,
       "the nearest name is \"" + nearest_name(name, names) + "\"; resnet_inspect lists those of each layer");
}

void choose_implementations(const SessionOptions& options, const Backend& backend, PlanOptions& plan) {
  for (const std::string& name : options.force_implementations) {
    require_implementation(backend, name, "force_implementations");
    plan.forced.insert(name);
  }
  for (const std::string& name : options.forbid_implementations) {
    require_implementation(backend, name, "forbid_implementations");
    if (plan.forced.contains(name))
      fail(ErrorCode::invalid_argument, '"' + name + "\" is forced, too", "forbid_implementations", "name it once");
    plan.refused.emplace(name, "forbidden by the caller");
  }
}

Json lines(const std::string& text) {
  Json array = Json::array();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) array.push(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return array;
}

Json precision_hint(const Backend& backend, Precision precision) {
  const DeviceInfo& device = backend.device();
  if (precision == Precision::fp32 && (device.amx_bf16 || device.avx512_bf16) &&
      backend.supports_precision(Precision::bf16)) {
    return "this CPU computes bf16 faster: --precision bf16";
  }
  return {};
}

}  // namespace

PlanOptions session_plan_options(const detail::ModelState& model, const SessionOptions& options, const Backend& backend,
                                 int threads) {
  PlanOptions plan;
  plan.precision = options.precision;
  plan.layer_precision = options.layer_precision;
  plan.threads = threads;
  plan.deterministic = options.deterministic;
  plan.retain_steps = options.retain == Retain::steps;
  for (const auto& [layer, precision] : options.layer_precision) {
    require_layer(model.graph(), layer, "SessionOptions::layer_precision");
    if (const Support support = backend.supports_precision(precision); !support) {
      fail(ErrorCode::unsupported, support.reason, "layer " + layer);
    }
  }
  choose_implementations(options, backend, plan);
  if (options.retain == Retain::names) {
    for (const auto& name : options.retain_names) {
      require_layer(model.graph(), name, "SessionOptions::retain_names");
      plan.retain_names.insert(name);
    }
  }
  return plan;
}

Json session_plan_json(const detail::ModelState& model, const Plan& plan, const Backend& backend,
                       const SessionFacts& facts) {
  const Dims& input = plan.shapes.front();
  Json json = Json::Object{{"device", facts.device},
                           {"device_name", backend.device().name},
                           {"device_reason", facts.device_reason},
                           {"precision", to_string(facts.precision)},
                           {"precision_hint", precision_hint(backend, facts.precision)},
                           {"threads", facts.threads},
                           {"input", Json::Array{input.n, input.h, input.w, input.c}}};
  const std::vector<Dims> before = infer_shapes(model.graph(), input.n, input.h, input.w);
  json.set("graph", Json::Object{{"before", lines(dump(model.graph(), before))},
                                 {"after", lines(dump(plan.graph, plan.shapes))}});
  const Json steps = parse_json(describe_plan_json(plan), "plan", JsonLimits{1'000'000, 64});
  for (const auto& [key, value] : steps.as_object()) json.set(key, value);
  return json;
}

}  // namespace resnet
