// resnet_bench as its users meet it. Times are checked for being there, never for being short.
#include <gtest/gtest.h>

#include "common/json.hpp"
#include "support/scratch_folder.hpp"
#include "support/subprocess.hpp"
#include "support/tiny_model.hpp"

namespace resnet::test {
namespace {

class Bench : public testing::Test {
 protected:
  Bench() { write_tiny_model(model); }
  Outcome bench(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {tool("resnet_bench"), "-m", model});
    return run(arguments);
  }

  ScratchFolder folder;
  std::string model = folder / "tiny.rne";
};

TEST_F(Bench, GivesTheAgreedJson) {
  const auto outcome = bench({"--batch", "1,4", "--iterations", "7", "--device", "reference", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json all = parse_json(outcome.out.substr(0, outcome.out.size() - 1), "stdout");
  EXPECT_GT(all.at("load_ms").as_double(), 0);
  EXPECT_GT(all.at("peak_rss_bytes").as_int(), 1 << 20);
  const auto& results = all.at("results").as_array();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].at("batch").as_int(), 1);
  EXPECT_EQ(results[1].at("batch").as_int(), 4);
  for (const auto& result : results) {
    EXPECT_EQ(result.at("device").as_string(), "reference");
    EXPECT_EQ(result.at("precision").as_string(), "fp32");
    EXPECT_EQ(result.at("runs").as_int(), 7);
    EXPECT_GT(result.at("first_ms").as_double(), 0);
    const Json& latency = result.at("latency_ms");
    EXPECT_GT(latency.at("median").as_double(), 0);
    EXPECT_LE(latency.at("median").as_double(), latency.at("p95").as_double());
    EXPECT_LE(latency.at("p95").as_double(), latency.at("p99").as_double());
    EXPECT_NEAR(result.at("images_per_second").as_double() * latency.at("median").as_double(),
                1000.0 * static_cast<double>(result.at("batch").as_int()), 1e-3);
    EXPECT_EQ(result.find("profile"), nullptr);
    EXPECT_TRUE(result.at("host_us").is_null() && result.at("device_us").is_null()) << "the calling thread computes";
  }
}

TEST_F(Bench, TimesEveryStepWhenAsked) {
  const auto outcome = bench({"--iterations", "3", "--layers", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json all = parse_json(outcome.out.substr(0, outcome.out.size() - 1), "stdout");
  std::int64_t macs = 0;
  for (const auto& step : all.at("results").as_array().at(0).at("profile").at("steps").as_array()) {
    macs += step.at("macs").as_int();
    EXPECT_TRUE(step.at("detail").is_string());
  }
  EXPECT_EQ(macs, 64 * 9 + 12);
}

/// The plan of the first batch size by a table of measured times.
Json plan_by(const std::string& model, const std::string& times) {
  const auto outcome =
      run({tool("resnet_inspect"), model, "--device", "cpu", "--threads", "1", "--times", times, "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return parse_json(outcome.out.substr(0, outcome.out.size() - 1), "stdout").at("plan");
}

TEST_F(Bench, WritesTimesThatPlansGoBy) {
  const std::string times = folder / "times.json";
  const std::vector<std::string> tune{"--device", "cpu", "--threads", "1", "--iterations", "2", "--tune", times};
  const auto outcome = bench(tune);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("use them with --times"), std::string::npos) << outcome.out;
  const std::string first = read_text(times);
  const Json table = parse_json(first.substr(0, first.size() - 1), "times");
  EXPECT_NE(table.at("provenance").as_array().at(0).at("command").as_string().find("--tune"), std::string::npos);
  std::size_t references = 0;
  for (const auto& [problem, implementations] : table.at("problems").as_object()) {
    EXPECT_FALSE(implementations.as_object().empty()) << problem;
    references += implementations.find("reference") != nullptr;
  }
  EXPECT_GE(references, 3u) << "conv + relu, pool and fc were all measured with the slow entry, too";

  std::size_t measured = 0;
  const Json plan = plan_by(model, times);
  for (const auto& step : plan.at("steps").as_array()) measured += step.at("time").as_string() == "measured";
  EXPECT_GT(measured, 0u);

  // A table in which the reference loops are the fastest decides so.
  Json::Object problems;
  for (const auto& [problem, implementations] : table.at("problems").as_object()) {
    Json::Object edited;
    for (const auto& [name, time] : implementations.as_object()) {
      const double us = name == "reference" ? 0.001 : 1000;
      edited.emplace_back(name, Json::Object{{"median_us", us}, {"min_us", us}, {"max_us", us}, {"runs", 1}});
    }
    problems.emplace_back(problem, edited);
  }
  Json edited = table;
  edited.set("problems", problems);
  write_text(folder / "edited.json", edited.dump());
  const Json by_edited = plan_by(model, folder / "edited.json");
  for (const auto& step : by_edited.at("steps").as_array()) {
    if (step.at("layers").as_array().empty()) continue;
    EXPECT_EQ(step.at("implementation").as_string(), "reference");
  }

  // Adding keeps what was there.
  std::vector<std::string> more = tune;
  more.insert(more.end(), {"--batch", "2", "--json"});
  const auto added = bench(more);
  ASSERT_EQ(added.code, 0) << added.err;
  EXPECT_EQ(added.out, read_text(times));
  const Json both = parse_json(added.out.substr(0, added.out.size() - 1), "times");
  EXPECT_GT(both.at("problems").as_object().size(), table.at("problems").as_object().size());
  EXPECT_EQ(both.at("provenance").as_array().size(), 2u);
}

TEST_F(Bench, RefusesTimesThatAreDamagedOrForeign) {
  const std::string times = folder / "times.json";
  const std::string foreign =
      R"({"format": 1, "architecture": "sm_90", "provenance": [], "problems": {"p": {"x": {"median_us": 1, "min_us": 1,
          "max_us": 1, "runs": 1}}}})";
  for (const auto& [text, option, code, message] :
       {std::tuple{foreign, "--times", 2, "this device is"}, std::tuple{foreign, "--tune", 2, "write to another file"},
        std::tuple{std::string("{"), "--times", 3, "times.json"},
        std::tuple{std::string("{"), "--tune", 3, "times.json"},
        std::tuple{std::string(foreign).replace(foreign.find("\"runs\": 1"), 9, "\"runs\": 0"), "--times", 3,
                   "times.json: problems.p.x.runs"}}) {
    write_text(times, text);
    const auto outcome = bench({"--device", "reference", "--iterations", "1", option, times});
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
    EXPECT_EQ(read_text(times), text) << "the file was touched";
  }
  EXPECT_EQ(bench({"--times", folder / "none.json"}).code, 3);
  EXPECT_EQ(bench({"--tune", folder / "none/times.json"}).code, 4);
  EXPECT_EQ(bench({"--tune", times, "--layers"}).code, 2);
}

TEST_F(Bench, TellsPeopleTheSame) {
  const auto outcome = bench({"--batch", "2", "--iterations", "5", "--layers", "--input-size", "16x16"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char* text : {"load ", "median ms", "images/s", "peak memory ", "batch 2: the calling thread computes",
                           "Steps at batch 2", "GFLOP/s"}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << "\n" << outcome.out;
  }
}

TEST_F(Bench, ExitsByItsCause) {
  EXPECT_EQ(run({tool("resnet_bench"), "-m", folder / "none.rne"}).code, 3);
  EXPECT_EQ(bench({"--device", "cuda:63"}).code, 5);
  EXPECT_EQ(bench({"--batch", "1,0"}).code, 2);
  for (const char* batch : {"1,x", "1,,2", ",1", "1,", "", "1.5", "65537", " 1"}) {
    EXPECT_EQ(bench({"--iterations", "1", "--batch", batch}).code, 2) << batch;
  }
  for (const char* seconds : {"nan", "-nan", "inf", "-1"}) EXPECT_EQ(bench({"--seconds", seconds}).code, 2) << seconds;
  EXPECT_EQ(bench({"--what"}).code, 2);
  EXPECT_EQ(bench({"--force-impl", "no such"}).code, 2);
  EXPECT_EQ(run({tool("resnet_bench")}).code, 2);
  EXPECT_EQ(run({tool("resnet_bench"), "--help"}).code, 0);
}

}  // namespace
}  // namespace resnet::test
