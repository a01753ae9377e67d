// resnet_inspect as its users meet it.
#include <gtest/gtest.h>

#include "common/json.hpp"
#include "support/scratch_folder.hpp"
#include "support/subprocess.hpp"
#include "support/tiny_model.hpp"

namespace resnet::test {
namespace {

class Inspect : public testing::Test {
 protected:
  Inspect() { write_tiny_model(model); }
  Outcome inspect(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {tool("resnet_inspect"), model});
    return run(arguments);
  }
  Json json(std::vector<std::string> arguments = {}) const {
    arguments.push_back("--json");
    const auto outcome = inspect(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return parse_json(outcome.out.substr(0, outcome.out.size() - 1), "stdout");
  }

  ScratchFolder folder;
  std::string model = folder / "tiny.rne";
};

TEST_F(Inspect, CountsParametersAndMacs) {
  const Json all = json();
  EXPECT_EQ(all.at("parameters").at("total").as_int(), 9 + 12 + 4);
  EXPECT_EQ(all.at("parameters").at("trainable").as_int(), 25);
  EXPECT_EQ(all.at("parameters").at("non_trainable").as_int(), 0);
  EXPECT_EQ(all.at("macs").as_int(), 64 * 9 + 12);
}

TEST_F(Inspect, ListsTheLayersOfTheFile) {
  const Json all = json();
  std::string names;
  for (const auto& layer : all.at("layers").as_array()) names += layer.at("name").as_string() + " ";
  EXPECT_EQ(names, "input conv relu pool fc ");
}

TEST_F(Inspect, GivesArenaAndLowerBound) {
  const Json all = json();
  const Json& memory = all.at("memory");
  EXPECT_GT(memory.at("live_lower_bound_bytes").as_int(), 0);
  for (const char* field : {"weight_bytes", "weight_buffers", "weight_packs"}) EXPECT_GT(memory.at(field).as_int(), 0);
  EXPECT_GE(memory.at("arena_bytes").as_int(), memory.at("live_lower_bound_bytes").as_int());
}

TEST_F(Inspect, ShowsThePlanWithItsImplementations) {
  const Json plan = json({"--device", "reference", "--batch", "3", "--input-size", "10x12"}).at("plan");
  EXPECT_EQ(plan.at("device").as_string(), "reference");
  EXPECT_EQ(plan.at("input").as_array().at(0).as_int(), 3);
  EXPECT_EQ(plan.at("input").as_array().at(1).as_int(), 10);
  EXPECT_EQ(plan.at("input").as_array().at(2).as_int(), 12);
  ASSERT_FALSE(plan.at("steps").as_array().empty());
  for (const auto& step : plan.at("steps").as_array()) EXPECT_FALSE(step.at("implementation").as_string().empty());
  EXPECT_EQ(plan.at("device_reason").as_string(), "requested");
  EXPECT_FALSE(plan.at("device_name").as_string().empty());
}

TEST_F(Inspect, HintsAtNoPrecisionThatTheDeviceCannotDo) {
  EXPECT_TRUE(json({"--device", "reference"}).at("plan").at("precision_hint").is_null());
}

TEST_F(Inspect, TellsPeopleTheSame) {
  const auto outcome = inspect({"--device", "reference"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char* text : {"parameters   25 (25 trainable, 0 not)", "MACs         588 per image", "conv2d", "Memory",
                           "source       worked out by hand", "on reference"}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << "\n" << outcome.out;
  }
  EXPECT_EQ(outcome.out.find("Graph before"), std::string::npos);
  EXPECT_NE(inspect({"--graph"}).out.find("Graph before the passes\n"), std::string::npos);
}

TEST_F(Inspect, ExitsByItsCause) {
  EXPECT_EQ(run({tool("resnet_inspect"), folder / "none.rne"}).code, 3);
  EXPECT_EQ(inspect({"--device", "cuda:63"}).code, 5);
  EXPECT_EQ(inspect({"--input-size", "big"}).code, 2);
  EXPECT_EQ(inspect({"--what"}).code, 2);
  EXPECT_EQ(run({tool("resnet_inspect")}).code, 2);
  EXPECT_EQ(run({tool("resnet_inspect"), "--help"}).code, 0);
  EXPECT_EQ(run({tool("resnet_inspect"), model}, Stdout::to("/dev/full")).code, 4);
}

}  // namespace
}  // namespace resnet::test
