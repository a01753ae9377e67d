#include "inspect/report.hpp"

#include <utility>

#include "common/text.hpp"
#include "inspect/shape_text.hpp"

namespace resnet::tools {
namespace {

std::string joined(const Json& names, const char* separator = " + ") {
  std::string text;
  for (const auto& name : names.as_array()) text += (text.empty() ? "" : separator) + printable(name.as_string());
  return text;
}

/// A value on one line: strings bare, everything else as JSON.
std::string inline_text(const Json& value) { return value.is_string() ? printable(value.as_string()) : value.dump(); }

std::string summary(const std::string& path, const Json& model) {
  const Json& input = model.at("input");
  const Json& parameters = model.at("parameters");
  std::string text = printable(path) + "\n";
  const auto line = [&](const std::string& name, const std::string& value) {
    text += "  " + name + std::string(13 - std::min<std::size_t>(12, name.size()), ' ') + value + "\n";
  };
  line("input", std::to_string(input.at("height").as_int()) + "x" + std::to_string(input.at("width").as_int()) + "x" +
                    std::to_string(input.at("channels").as_int()) + " (height x width x channels)");
  line("output", std::to_string(model.at("output_size").as_int()) + " values, " +
                     std::to_string(model.at("labels").as_int()) + " labels");
  line("parameters", grouped(parameters.at("total").as_int()) + " (" + grouped(parameters.at("trainable").as_int()) +
                         " trainable, " + grouped(parameters.at("non_trainable").as_int()) + " not)");
  line("MACs", human_count(static_cast<double>(model.at("macs").as_int())) + " per image");
  line("format", "version " + std::to_string(model.at("format_version").as_int()));
  const Json& preprocess = model.at("preprocess");
  if (preprocess.is_object()) {
    std::string fields;
    for (const auto& [key, value] : preprocess.as_object()) {
      fields += (fields.empty() ? "" : ", ") + key + " " + inline_text(value);
    }
    line("preprocess", fields);
  } else {
    line("preprocess", "none: resnet_infer needs --preset for pictures");
  }
  for (const auto& [key, value] : model.at("provenance").as_object()) line(printable(key), inline_text(value));
  return text;
}

std::string layers(const Json& model) {
  Table table({"layer", "op", "output", ">parameters", ">MACs", "connected to"});
  for (const auto& layer : model.at("layers").as_array()) {
    const std::int64_t parameters = layer.at("parameters").as_int(), macs = layer.at("macs").as_int();
    table.row({printable(layer.at("name").as_string()), layer.at("op").as_string(), shape_text(layer.at("shape")),
               parameters > 0 ? grouped(parameters) : "", macs > 0 ? grouped(macs) : "",
               joined(layer.at("inputs"), ", ")});
  }
  return "\nLayers\n" + table.text();
}

std::string plan(const Json& plan) {
  const auto& input = plan.at("input").as_array();
  std::string text = "\nPlan for " + std::to_string(input.at(0).as_int()) + " x " +
                     shape_text(plan.at("input")).substr(std::to_string(input.at(0).as_int()).size() + 1) + " on " +
                     plan.at("device").as_string() + " (" + printable(plan.at("device_reason").as_string()) + "), " +
                     plan.at("precision").as_string() + ", " + std::to_string(plan.at("threads").as_int()) +
                     " threads\n";
  const Json* hint = plan.find("precision_hint");
  if (hint && hint->is_string()) text += "Hint: " + printable(hint->as_string()) + "\n";
  Table table({"step", "implementation", "output", ">us", "", ">workspace"});
  for (const auto& step : plan.at("steps").as_array()) {
    const Json* detail = step.find("detail");
    std::string implementation = step.at("implementation").as_string();
    if (detail && detail->is_string() && !detail->as_string().empty())
      implementation += " (" + detail->as_string() + ")";
    const Json& output = step.at("output");
    const std::int64_t workspace = step.at("workspace_bytes").as_int();
    table.row({joined(step.at("layers")), printable(implementation), inline_text(output),
               fixed(step.at("estimate_us").as_double(), 1), step.at("time").as_string(),
               workspace > 0 ? human_bytes(workspace) : ""});
  }
  text += table.text();

  std::string refusals;
  for (const auto& step : plan.at("steps").as_array()) {
    for (const auto& refusal : step.at("refusals").as_array()) {
      refusals += "  " + joined(step.at("layers")) + ": " + printable(refusal.at("implementation").as_string()) + ": " +
                  printable(refusal.at("reason").as_string()) + "\n";
    }
  }
  return text + (refusals.empty() ? "" : "\nRefused implementations\n" + refusals);
}

std::string memory(const Json& memory) {
  const std::int64_t arena = memory.at("arena_bytes").as_int(), bound = memory.at("live_lower_bound_bytes").as_int();
  std::string text = "\nMemory\n  arena        " + human_bytes(arena) + " (lower bound " + human_bytes(bound);
  if (bound > 0) text += ", ratio " + fixed(static_cast<double>(arena) / static_cast<double>(bound), 3);
  text += ")\n";
  if (const Json* weights = memory.find("weight_bytes")) {
    text += "  weights      " + human_bytes(weights->as_int()) + " packed\n";
  }
  return text;
}

std::string graph_text(const Json& graph) {
  std::string text;
  for (const auto& [title, lines] : graph.as_object()) {
    text += "\nGraph " + title + " the passes\n";
    for (const auto& line : lines.as_array()) text += "  " + printable(line.as_string()) + "\n";
  }
  return text;
}

constexpr JsonLimits limits{10'000'000, 64};

}  // namespace

Json model_part(const std::string& model_json) { return parse_json(model_json, "model description", limits); }

Json inspection(const std::string& model_json, const std::string& session_json) {
  Json result = model_part(model_json);
  const Json session = parse_json(session_json, "session description", limits);
  Json plan_part = Json::object();
  for (const auto& [key, value] : session.as_object()) {
    if (key != "memory") plan_part.set(key, value);
  }
  result.set("memory", session.at("memory"));
  result.set("plan", std::move(plan_part));
  return result;
}

std::string inspection_text(const std::string& path, const Json& inspection, bool graph) {
  std::string text =
      summary(path, inspection) + layers(inspection) + plan(inspection.at("plan")) + memory(inspection.at("memory"));
  if (graph) text += graph_text(inspection.at("plan").at("graph"));
  return text;
}

}  // namespace resnet::tools
