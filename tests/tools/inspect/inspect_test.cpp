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

TEST_F(Inspect, SaysWhatALayerIsConnectedTo) {
  const std::string text = inspect({}).out;
  EXPECT_NE(text.find("connected to"), std::string::npos) << text;
  EXPECT_NE(text.find("\nrelu   relu             1x8x8x3                    conv\n"), std::string::npos) << text;
}

TEST_F(Inspect, DrawsTheLayersForGraphviz) {
  const auto outcome = inspect({"--dot"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("digraph \"")) << outcome.out;
  EXPECT_TRUE(outcome.out.ends_with("}\n")) << outcome.out;
  for (const char* line :
       {"  n1 [label=\"conv\\nconv2d\\n9 parameters\", fillcolor=lightblue];\n", "  n2 [label=\"relu\\nrelu\"];\n",
        "  n0 -> n1 [label=\"1x8x8x3\"];\n", "  n3 -> n4 [label=\"1x1x1x3\"];\n"}) {
    EXPECT_NE(outcome.out.find(line), std::string::npos) << line << outcome.out;
  }
  EXPECT_EQ(inspect({"--dot", "--json"}).code, 2);
  EXPECT_EQ(inspect({"--dot", "--graph"}).code, 2);
  EXPECT_EQ(inspect({"--dot", "--device", "cuda:700"}).code, 0) << "nothing is planned";
}

TEST_F(Inspect, DrawsTheMemoryPlan) {
  const auto outcome = inspect({"--memory-svg", "--device", "reference"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("<svg ")) << outcome.out;
  EXPECT_TRUE(outcome.out.ends_with("</svg>\n")) << outcome.out;
  std::size_t boxes = 0, drawn = 0;
  const Json all = json({"--device", "reference"});
  for (const Json& block : all.at("memory").at("blocks").as_array()) {
    ++boxes;
    EXPECT_LE(block.at("offset").as_int() + block.at("bytes").as_int(), all.at("memory").at("arena_bytes").as_int());
  }
  for (std::size_t at = 0; (at = outcome.out.find("<rect", at)) != std::string::npos; ++at) ++drawn;
  EXPECT_EQ(drawn, boxes);
  EXPECT_GT(boxes, 2u);
  EXPECT_NE(outcome.out.find("<title>input: 768 B at 0, steps 0 to 0</title>"), std::string::npos) << outcome.out;
  EXPECT_EQ(inspect({"--memory-svg", "--dot"}).code, 2);
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

TEST_F(Inspect, SaysOfEveryTimeWhereItIsFrom) {
  const Json plan = json({"--device", "reference"}).at("plan");
  for (const auto& step : plan.at("steps").as_array()) EXPECT_EQ(step.at("time").as_string(), "estimated");
  EXPECT_NE(inspect({"--device", "reference"}).out.find("estimated"), std::string::npos);
}

TEST_F(Inspect, ForcesAndForbidsImplementations) {
  const auto implementation = [](const Json& plan, const std::string& layer) {
    for (const auto& step : plan.at("steps").as_array()) {
      for (const auto& name : step.at("layers").as_array()) {
        if (name.as_string() == layer) return step.at("implementation").as_string();
      }
    }
    return std::string("none");
  };
  const Json own = json({"--device", "cpu"}).at("plan");
  const Json forced = json({"--device", "cpu", "--force-impl", "reference"}).at("plan");
  EXPECT_EQ(implementation(forced, "conv"), "reference");
  EXPECT_EQ(implementation(forced, "fc"), "reference");
  const std::string chosen = implementation(own, "fc");
  const Json without = json({"--device", "cpu", "--forbid-impl", chosen}).at("plan");
  EXPECT_EQ(implementation(without, "conv"), implementation(own, "conv"));
  if (chosen == "reference") return;  // a build without oneDNN has nothing else
  EXPECT_NE(implementation(without, "fc"), chosen);
  const auto text = inspect({"--device", "cpu", "--forbid-impl", chosen}).out;
  EXPECT_NE(text.find("fc: " + chosen + ": forbidden by the caller"), std::string::npos) << text;
}

TEST_F(Inspect, ComputesALayerInAPrecisionOfItsOwn) {
  const auto bf16_outputs = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {tool("resnet_inspect"), RESNET_SOURCE_DIR "/models/digits.rne"});
    const auto outcome = run(arguments);
    int count = 0;
    for (std::size_t at = 0; (at = outcome.out.find(" bf16\"", at)) != std::string::npos; ++at) ++count;
    return outcome.code == 0 ? count : -outcome.code;
  };
  const int changed = bf16_outputs({"--device", "cpu", "--json", "--layer-precision", "layer1.0.conv1=bf16"});
  if (changed == -5) GTEST_SKIP() << "this CPU has no bf16";
  EXPECT_GT(changed, bf16_outputs({"--device", "cpu", "--json"}));
}

TEST_F(Inspect, NamesTheOptionThatItCannotFollow) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{"--force-impl", "referenc"},
       "--force-impl: reference has no implementation \"referenc\"; the nearest name is "
       "\"reference\""},
      {{"--forbid-impl", "x"}, "--forbid-impl: reference has no implementation \"x\""},
      {{"--forbid-impl", "reference_convert"}, "can be neither forced nor forbidden"},
      {{"--force-impl", "view", "--forbid-impl", "view"}, "--forbid-impl: \"view\" is forced, too"},
      {{"--layer-precision", "con=fp32"},
       "--layer-precision: the model has no layer \"con\"; the nearest name is "
       "\"conv\""},
      {{"--layer-precision", "conv"}, "expected LAYER=NAME"},
      {{"--layer-precision", "conv=half"}, "--layer-precision conv: half: expected fp32"},
      {{"--layer-precision", "conv=fp32", "--layer-precision", "conv=fp32"}, "given before"}};
  for (const auto& [arguments, message] : cases) {
    auto all = arguments;
    all.insert(all.begin(), {"--device", "reference"});
    const auto outcome = inspect(all);
    EXPECT_EQ(outcome.code, 2) << message;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
  }
  const auto none = inspect({"--device", "reference", "--forbid-impl", "reference"});
  EXPECT_EQ(none.code, 5);
  EXPECT_NE(none.err.find("reference: forbidden by the caller"), std::string::npos) << none.err;
}

TEST_F(Inspect, PlansForAGpuThatIsNotThere) {
  const auto outcome = inspect({"--device-info", "sm_90,132", "--precision", "bf16"});
  if (outcome.code == 5) {  // a build without the kernels says what to do
    EXPECT_NE(outcome.err.find("--device-info: this build has no CUDA kernels"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("preset cuda"), std::string::npos) << outcome.err;
  } else {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("on sm_90,132 (planned without the device), bf16"), std::string::npos) << outcome.out;
  }
  EXPECT_EQ(inspect({"--device-info", "sm_90"}).code, 2);
  EXPECT_EQ(inspect({"--device-info", "sm_90,132", "--device", "cpu"}).code, 2);
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
