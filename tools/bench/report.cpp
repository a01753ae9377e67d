#include "bench/report.hpp"

#include <utility>

#include "bench/statistics.hpp"
#include "common/text.hpp"

namespace resnet::tools {
namespace {

double images_per_second(const BatchTimes& times) {
  const double median = percentile(times.runs_ms, 50);
  return median > 0 ? 1000 * static_cast<double>(times.batch) / median : 0;
}

/// Null where nothing was measured.
Json spread_json(const std::vector<double>& us) {
  if (us.empty()) return {};
  return Json::Object{{"median", percentile(us, 50)}, {"p99", percentile(us, 99)}};
}

/// Where the time of the runs goes.
std::string host_line(const BatchTimes& times) {
  const std::string batch = "batch " + std::to_string(times.batch) + ": ";
  if (times.host_us.empty()) return batch + "the calling thread computes, the host's time is the whole\n";
  const auto spread = [](const std::vector<double>& us) {
    return fixed(percentile(us, 50), 1) + " us (p99 " + fixed(percentile(us, 99), 1) + ")";
  };
  return batch + "host " + spread(times.host_us) + " until it waits, device " + spread(times.device_us) +
         " from the first copy to the last, by its own clock\n";
}

std::string joined(const Json& names) {
  std::string text;
  for (const auto& name : names.as_array()) text += (text.empty() ? "" : " + ") + printable(name.as_string());
  return text;
}

std::string layer_table(const BatchTimes& times) {
  const Json profile = parse_json(times.profile_json, "profile", {10'000'000, 64});
  const double total = profile.at("total_us").as_double();
  Table table({"step", "implementation", ">us", ">%", ">MMAC", ">GFLOP/s"});
  for (const auto& step : profile.at("steps").as_array()) {
    const double us = step.at("median_us").as_double();
    const auto macs = static_cast<double>(step.at("macs").as_int());
    table.row({joined(step.at("layers")), printable(step.at("implementation").as_string()), fixed(us, 1),
               total > 0 ? fixed(100 * us / total, 1) : "", macs > 0 ? fixed(macs / 1e6, 2) : "",
               macs > 0 ? fixed(step.at("gflops").as_double(), 1) : ""});
  }
  return "\nSteps at batch " + std::to_string(times.batch) + ", median of " +
         std::to_string(profile.at("iterations").as_int()) + " runs, " + fixed(total / 1000, 3) + " ms in all\n" +
         table.text();
}

}  // namespace

Json bench_json(const BenchOptions& options, const Measurement& measurement) {
  Json results = Json::array();
  for (const auto& times : measurement.batches) {
    Json result = Json::Object{{"batch", times.batch},
                               {"device", measurement.device},
                               {"precision", std::string(to_string(options.session.precision))},
                               {"prepare_ms", times.prepare_ms},
                               {"first_ms", times.first_ms},
                               {"latency_ms", Json::Object{{"median", percentile(times.runs_ms, 50)},
                                                           {"p95", percentile(times.runs_ms, 95)},
                                                           {"p99", percentile(times.runs_ms, 99)}}},
                               {"images_per_second", images_per_second(times)},
                               {"runs", times.runs_ms.size()}};
    result.set("host_us", spread_json(times.host_us)).set("device_us", spread_json(times.device_us));
    if (!times.profile_json.empty()) result.set("profile", parse_json(times.profile_json, "profile", {10'000'000, 64}));
    results.push(std::move(result));
  }
  return Json::Object{{"model", to_utf8(options.model)},
                      {"device_reason", measurement.device_reason},
                      {"load_ms", measurement.load_ms},
                      {"results", std::move(results)},
                      {"peak_rss_bytes", measurement.peak_rss_bytes}};
}

std::string bench_text(const BenchOptions& options, const Measurement& measurement) {
  std::string text = printable(options.model) + " on " + measurement.device + " (" +
                     printable(measurement.device_reason) + "), " + std::string(to_string(options.session.precision)) +
                     "\nload " + fixed(measurement.load_ms, 1) + " ms\n\n";
  Table table({">batch", ">first ms", ">median ms", ">p95 ms", ">p99 ms", ">images/s", ">runs"});
  for (const auto& times : measurement.batches) {
    table.row({std::to_string(times.batch), fixed(times.first_ms, 3), fixed(percentile(times.runs_ms, 50), 3),
               fixed(percentile(times.runs_ms, 95), 3), fixed(percentile(times.runs_ms, 99), 3),
               fixed(images_per_second(times), 1), std::to_string(times.runs_ms.size())});
  }
  text += table.text() + "\n";
  for (const auto& times : measurement.batches) text += host_line(times);
  text += "\npeak memory " + human_bytes(measurement.peak_rss_bytes) + "\n";
  for (const auto& times : measurement.batches) {
    if (!times.profile_json.empty()) text += layer_table(times);
  }
  return text;
}

}  // namespace resnet::tools
