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

TEST_F(Bench, TellsPeopleTheSame) {
  const auto outcome = bench({"--batch", "2", "--iterations", "5", "--layers", "--input-size", "16x16"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char* text : {"load ", "median ms", "images/s", "peak memory ", "Steps at batch 2", "GFLOP/s"}) {
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
