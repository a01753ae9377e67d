#include "infer/results.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "common/json.hpp"

namespace resnet::tools {
namespace {

const std::vector<Prediction> cats{{281, 0.7713f, 9.5f, "tabby, tabby cat"}, {285, 0.0625f, -1.25f, ""}};

TEST(ResultText, IsTheNameAndALinePerClass) {
  EXPECT_EQ(result_text("cat.jpg", cats),
            "cat.jpg\n"
            "   77.13%  tabby, tabby cat\n"
            "    6.25%  class 285\n");
}

TEST(ResultText, KeepsControlCharactersOffTheTerminal) {
  EXPECT_EQ(result_text("a\x1b[2J.jpg", {}), "a\\x1b[2J.jpg\n");
}

TEST(ResultJson, HoldsTheAgreedFields) {
  const Json json = parse_json(result_json("cat.jpg", cats, {"cpu", "requested", "fp32"}), "result");
  EXPECT_EQ(json.at("input").as_string(), "cat.jpg");
  EXPECT_EQ(json.at("device").as_string(), "cpu");
  EXPECT_EQ(json.at("precision").as_string(), "fp32");
  const Json& best = json.at("top").as_array().at(0);
  EXPECT_EQ(best.at("index").as_int(), 281);
  EXPECT_EQ(best.at("label").as_string(), "tabby, tabby cat");
  EXPECT_EQ(static_cast<float>(best.at("score").as_double()), 0.7713f);
  EXPECT_EQ(static_cast<float>(best.at("logit").as_double()), 9.5f);
}

TEST(ResultJson, WritesFloatsWithTheirOwnDigits) {
  EXPECT_NE(result_json("x", cats, {}).find("\"score\":0.7713,"), std::string::npos);
}

TEST(ResultJson, StaysValidForNamesThatAreNoUtf8AndLogitsOfMinusInfinity) {
  const std::vector<Prediction> zero{{0, 0, -std::numeric_limits<float>::infinity(), "a"}};
  const Json json = parse_json(result_json("caf\xE9.jpg", zero, {}), "result");
  EXPECT_EQ(json.at("input").as_string(), "caf\xEF\xBF\xBD.jpg");
  EXPECT_TRUE(json.at("top").as_array().at(0).at("logit").is_null());
}

TEST(ResultCsv, CountsRanksFromOneAndQuotes) {
  EXPECT_EQ(result_csv("a,b.jpg", cats),
            "\"a,b.jpg\",1,281,\"tabby, tabby cat\",0.7713\n"
            "\"a,b.jpg\",2,285,,0.0625\n");
}

}  // namespace
}  // namespace resnet::tools
