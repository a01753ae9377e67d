#include "plan/times_table.hpp"

#include <cmath>
#include <limits>
#include <utility>

#include "base/check.hpp"
#include "base/json.hpp"
#include "base/read_file.hpp"

namespace resnet {
namespace {

constexpr std::int64_t format = 1;
constexpr std::size_t max_file_bytes = 16 << 20, max_origins = 64, max_text_bytes = 4096;
constexpr double longest_us = 1e9;

[[noreturn]] void refuse(const std::string& where, const std::string& key, const std::string& what) {
  fail(ErrorCode::bad_header, what, where + ": " + key, "write the table with resnet_bench --tune");
}

/// A table's objects: no member too few and none too many.
void expect_members(const Json& json, std::initializer_list<std::string_view> names, const std::string& where,
                    const std::string& key) {
  if (!json.is_object()) refuse(where, key, "expected an object");
  for (const std::string_view name : names) {
    if (json.find(name) == nullptr) refuse(where, key, '"' + std::string(name) + "\" is missing");
  }
  for (const auto& [name, value] : json.as_object()) {
    bool known = false;
    for (const std::string_view expected : names) known = known || expected == name;
    if (!known) refuse(where, key, '"' + name + "\" is unknown");
  }
}

std::string text_member(const Json& json, std::string_view name, const std::string& where, const std::string& key) {
  const Json& value = json.at(name);
  if (!value.is_string() || value.as_string().size() > max_text_bytes)
    refuse(where, key + "." + std::string(name), "expected a text of at most 4096 bytes");
  return value.as_string();
}

double us_member(const Json& json, std::string_view name, const std::string& where, const std::string& key) {
  const Json& value = json.at(name);
  const double us = value.is_number() ? value.as_double() : std::numeric_limits<double>::quiet_NaN();
  if (!(us >= 0 && us <= longest_us))
    refuse(where, key + "." + std::string(name), "expected microseconds from 0 to 1e9");
  return us;
}

MeasuredTime parse_time(const Json& json, const std::string& where, const std::string& key) {
  expect_members(json, {"median_us", "min_us", "max_us", "runs"}, where, key);
  MeasuredTime time;
  time.median_us = us_member(json, "median_us", where, key);
  time.min_us = us_member(json, "min_us", where, key);
  time.max_us = us_member(json, "max_us", where, key);
  if (time.min_us > time.median_us || time.median_us > time.max_us)
    refuse(where, key, "expected min_us <= median_us <= max_us");
  const Json& runs = json.at("runs");
  if (!runs.is_int() || runs.as_int() < 1 || runs.as_int() > std::numeric_limits<int>::max())
    refuse(where, key + ".runs", "expected a number of runs");
  time.runs = static_cast<int>(runs.as_int());
  return time;
}

void add(MeasuredTimes& times, const TimesTable& table) {
  for (const auto& [problem, implementations] : table.problems) {
    for (const auto& [name, time] : implementations) times[{name, problem}] = time.median_us;
  }
}

}  // namespace

void TimesTable::merge(const TimesTable& newer, const std::string& where) {
  if (newer.architecture != architecture) {
    fail(ErrorCode::invalid_argument,
         "the table holds times for \"" + architecture + "\", the new ones are for \"" + newer.architecture + '"',
         where, "write to another file");
  }
  origins.insert(origins.end(), newer.origins.begin(), newer.origins.end());
  if (origins.size() > max_origins) origins.erase(origins.begin(), origins.end() - max_origins);
  for (const auto& [problem, implementations] : newer.problems) {
    for (const auto& [name, time] : implementations) problems[problem][name] = time;
  }
}

std::string TimesTable::to_json() const {
  Json runs = Json::array(), table = Json::object();
  for (const Origin& origin : origins) {
    runs.push(Json::Object{{"device", origin.device},
                           {"software", origin.software},
                           {"version", origin.version},
                           {"command", origin.command}});
  }
  Json::Object all;
  for (const auto& [problem, implementations] : problems) {
    Json::Object times;
    for (const auto& [name, time] : implementations) {
      times.emplace_back(
          name,
          Json::Object{
              {"median_us", time.median_us}, {"min_us", time.min_us}, {"max_us", time.max_us}, {"runs", time.runs}});
    }
    all.emplace_back(problem, std::move(times));
  }
  return Json(Json::Object{{"format", format},
                           {"architecture", architecture},
                           {"provenance", std::move(runs)},
                           {"problems", std::move(all)}})
             .dump(1) +
         '\n';
}

std::string architecture_of(const DeviceInfo& device) {
  return device.kind == DeviceKind::cuda ? "sm_" + std::to_string(device.sm) : device.name;
}

TimesTable parse_times_table(std::string_view text, const std::string& where) {
  if (text.size() > max_file_bytes)
    fail(ErrorCode::limit_exceeded, "the table is larger than 16 MiB", where, "split it by architecture");
  const Json json = parse_json(text, where, JsonLimits{1'000'000, 8});
  expect_members(json, {"format", "architecture", "provenance", "problems"}, where, "the table");
  if (!json.at("format").is_int() || json.at("format").as_int() != format)
    refuse(where, "format", "expected " + std::to_string(format));
  TimesTable table;
  table.architecture = text_member(json, "architecture", where, "the table");
  const Json& origins = json.at("provenance");
  if (!origins.is_array() || origins.as_array().size() > max_origins)
    refuse(where, "provenance", "expected an array of at most 64 runs");
  for (const Json& origin : origins.as_array()) {
    expect_members(origin, {"device", "software", "version", "command"}, where, "provenance");
    const auto member = [&](const char* name) { return text_member(origin, name, where, "provenance"); };
    table.origins.push_back({member("device"), member("software"), member("version"), member("command")});
  }
  const Json& problems = json.at("problems");
  if (!problems.is_object()) refuse(where, "problems", "expected an object");
  for (const auto& [problem, implementations] : problems.as_object()) {
    if (!implementations.is_object()) refuse(where, "problems." + problem, "expected an object");
    auto& times = table.problems[problem];
    for (const auto& [name, time] : implementations.as_object())
      times[name] = parse_time(time, where, "problems." + problem + "." + name);
  }
  return table;
}

std::shared_ptr<const MeasuredTimes> measured_times(const DeviceInfo& device, std::span<const EmbeddedTimes> embedded,
                                                    const std::string& file) {
  const std::string architecture = architecture_of(device);
  auto times = std::make_shared<MeasuredTimes>();
  for (const EmbeddedTimes& table : embedded) {
    if (table.architecture == architecture)
      add(*times, parse_times_table(table.text, "kernels/tuned/" + architecture + ".json"));
  }
  if (!file.empty()) {
    const auto text = read_file(file, max_file_bytes);
    if (!text) fail(ErrorCode::io, "no such file", file, "resnet_bench --tune writes one");
    const TimesTable table = parse_times_table(*text, file);
    if (table.architecture != architecture) {
      fail(ErrorCode::invalid_argument,
           "the table holds times for \"" + table.architecture + "\", this device is \"" + architecture + '"', file,
           "measure here with resnet_bench --tune");
    }
    add(*times, table);
  }
  return times->empty() ? nullptr : times;
}

}  // namespace resnet
