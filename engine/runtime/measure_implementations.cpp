#include <algorithm>
#include <set>

#include "base/check.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "plan/times_table.hpp"
#include "resnet_engine/planning.hpp"
#include "runtime/device_choice.hpp"

namespace resnet {
namespace {

constexpr JsonLimits limits{1'000'000, 64};

std::set<std::string> considered(const std::string& description) {
  std::set<std::string> names;
  const Json json = parse_json(description, "description", limits);
  for (const Json& step : json.at("steps").as_array()) {
    if (step.at("layers").as_array().empty()) continue;
    names.insert(step.at("implementation").as_string());
    for (const Json& refusal : step.at("refusals").as_array()) names.insert(refusal.at("implementation").as_string());
  }
  return names;
}

/// Of times for the same problem from several plans or several layers, the shortest median is the least disturbed one.
void add(TimesTable& table, const std::string& profile) {
  const Json json = parse_json(profile, "profile", limits);
  const int runs = static_cast<int>(json.at("iterations").as_int());
  for (const Json& step : json.at("steps").as_array()) {
    const MeasuredTime time{step.at("median_us").as_double(), step.at("min_us").as_double(),
                            step.at("max_us").as_double(), runs};
    auto& known = table.problems[step.at("problem").as_string()];
    const auto [place, added] = known.try_emplace(step.at("implementation").as_string(), time);
    if (!added && time.median_us < place->second.median_us) place->second = time;
  }
}

}  // namespace

std::string measure_implementations(const Model& model, const SessionOptions& options, std::int64_t n, std::int64_t h,
                                    std::int64_t w, int iterations, const std::string& command) {
  SessionOptions plain = options;
  plain.deterministic = false;
  plain.force_implementations.clear();
  plain.times_file.clear();
  TimesTable table;
  std::set<std::string> names;
  {
    Session session(model, plain);
    session.prepare(n, h, w);
    names = considered(session.describe_json());
    add(table, session.profile(iterations));
    plain.device = session.device();
  }
  const DeviceInfo device = choose_device(plain.device, plain.precision).backend->device();
  table.architecture = architecture_of(device);
  table.origins = {{device.name, device_software(device), RESNET_ENGINE_VERSION, command}};
  for (const std::string& name : names) {
    const auto& forbidden = plain.forbid_implementations;
    if (std::find(forbidden.begin(), forbidden.end(), name) != forbidden.end()) continue;
    SessionOptions forced = plain;
    forced.force_implementations = {name};
    Session session(model, forced);
    session.prepare(n, h, w);
    add(table, session.profile(iterations));
  }
  return table.to_json();
}

std::string merge_measured_times(const std::string& table, const std::string& newer, const std::string& where) {
  TimesTable merged = parse_times_table(table, where);
  merged.merge(parse_times_table(newer, "the new table"), where);
  return merged.to_json();
}

}  // namespace resnet
