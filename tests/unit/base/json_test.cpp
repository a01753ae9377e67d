#include "base/json.hpp"

#include <gtest/gtest.h>

#include "resnet_engine/error.hpp"

namespace resnet {
namespace {

ErrorCode error_of(const std::string& text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, "test", limits);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("test"), std::string::npos) << error.what();
    return error.code();
  }
  ADD_FAILURE() << "accepted: " << text.substr(0, 80);
  return ErrorCode::internal;
}

TEST(Json, KeepsOrderTypesAndValues) {
  const std::string text = R"({"b":1,"a":[true,null,-2,0.1,"x\"\u00e9"],"c":{}})";
  const Json json = parse_json(text, "test");
  EXPECT_EQ(json.dump(), "{\"b\":1,\"a\":[true,null,-2,0.1,\"x\\\"é\"],\"c\":{}}");
  EXPECT_EQ(parse_json(json.dump(2), "again").dump(), json.dump());
}

TEST(Json, RefusesDuplicateKeysAtAnyDepth) {
  EXPECT_EQ(error_of(R"({"a":1,"a":2})"), ErrorCode::bad_header);
  EXPECT_EQ(error_of(R"({"x":[{"a":1,"b":2,"a":3}]})"), ErrorCode::bad_header);
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text :
       {"", "{", "{\"a\":}", "[1,]", "{} x", "nul", "\"\xff\"", "[01]", "['a']", "NaN", "{\"a\" 1}"}) {
    EXPECT_EQ(error_of(text), ErrorCode::bad_header) << text;
  }
}

TEST(Json, AZeroByteDoesNotEndTheText) {
  using namespace std::string_literals;
  for (const std::string& text : {"{}\0"s, "{}\0 junk"s, "\0{}"s, "[\0]"s, "\"\0\""s}) {
    EXPECT_EQ(error_of(text), ErrorCode::bad_header) << text;
  }
}

TEST(Json, CountsValuesWhileParsing) {
  JsonLimits limits;
  limits.max_values = 4;
  EXPECT_NO_THROW(parse_json("[1,2,3]", "test", limits));
  EXPECT_EQ(error_of("[1,2,3,4]", limits), ErrorCode::limit_exceeded);
  EXPECT_EQ(error_of(R"({"a":1,"b":2})", limits), ErrorCode::limit_exceeded);
}

TEST(Json, LimitsDepthWithoutRecursion) {
  EXPECT_EQ(error_of(std::string(1'000'000, '[')), ErrorCode::limit_exceeded);
  EXPECT_NO_THROW(parse_json(std::string(64, '[') + std::string(64, ']'), "test"));
  EXPECT_EQ(error_of(std::string(65, '[') + std::string(65, ']')), ErrorCode::limit_exceeded);
}

TEST(Json, RefusesIntegersBeyond64Bits) {
  EXPECT_EQ(error_of("[9223372036854775808]"), ErrorCode::overflow);
  EXPECT_EQ(error_of("[99999999999999999999999]"), ErrorCode::overflow);
  EXPECT_EQ(parse_json("[9223372036854775807]", "test").as_array()[0].as_int(), INT64_MAX);
  EXPECT_FALSE(parse_json("[1e3]", "test").as_array()[0].is_int());
}

TEST(Json, WrongTypeNamesThePlace) {
  const Json json = parse_json(R"({"a":"x"})", "test");
  try {
    json.at("a").as_int("layer conv1");
    FAIL() << "a string passed as an integer";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "layer conv1: expected an integer");
  }
}

}  // namespace
}  // namespace resnet
