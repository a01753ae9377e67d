#include "convert/key_map.hpp"

#include <gtest/gtest.h>

#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

std::vector<SourceTensor> named(const std::vector<std::string>& names) {
  std::vector<SourceTensor> tensors(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) tensors[i].name = names[i];
  return tensors;
}
std::vector<std::string> names_of(const std::vector<SourceTensor>& tensors) {
  std::vector<std::string> names;
  for (const auto& tensor : tensors) names.push_back(tensor.name);
  return names;
}

TEST(GlobMatch, ReportsWhatEachStarStandsFor) {
  std::vector<std::string_view> matched;
  EXPECT_TRUE(glob_match("a.*.b*", "a.1.2.bias", &matched));
  EXPECT_EQ(matched, (std::vector<std::string_view>{"1.2", "ias"}));
  EXPECT_TRUE(glob_match("*", "", &matched));
  EXPECT_TRUE(glob_match("x", "x", nullptr));
  EXPECT_FALSE(glob_match("x", "xy", nullptr));
  EXPECT_FALSE(glob_match("a*a", "a", nullptr));
  EXPECT_FALSE(glob_match("a*b", "ac", nullptr));
  EXPECT_TRUE(glob_match("*.weight", "fc.weight.weight", &matched));
  EXPECT_EQ(matched[0], "fc.weight");
}

TEST(GlobMatch, TakesNoExponentialTime) {
  std::string pattern, text(100'000, 'a');
  for (int i = 0; i < 2000; ++i) pattern += "a*";
  EXPECT_FALSE(glob_match(pattern + "b", text, nullptr));
}

TEST(KeyMap, TheFirstMatchingLineCounts) {
  const KeyMap map =
      KeyMap::parse("# heads\nhead.* -> fc.*\nbackbone.*->*  # the rest\n\naux.* -> -\r\n*.gamma -> *.weight\n", "m");
  EXPECT_EQ(map.apply("head.bias"), "fc.bias");
  EXPECT_EQ(map.apply("backbone.conv1.weight"), "conv1.weight");
  EXPECT_EQ(map.apply("aux.fc.weight"), "");
  EXPECT_EQ(map.apply("bn1.gamma"), "bn1.weight");
  EXPECT_EQ(map.apply("untouched"), "untouched");
}

TEST(KeyMap, NamesTheLineThatIsWrong) {
  for (const char* text : {"\nnonsense", "\n-> x", "\nx ->", "\na -> *", "\n* -> **"}) {
    const Error error = error_of([&] { KeyMap::parse(text, "map.txt"); });
    EXPECT_EQ(error.code(), ErrorCode::bad_header) << text;
    EXPECT_EQ(error.where(), "map.txt line 2") << text;
  }
}

TEST(KeyMap, RenamesAndDropsTensors) {
  auto tensors = named({"m.a", "m.b", "x"});
  apply_key_map(KeyMap::parse("m.* -> *\nx -> -", "m"), tensors);
  EXPECT_EQ(names_of(tensors), (std::vector<std::string>{"a", "b"}));
}

TEST(KeyMap, RefusesToMakeOneKeyOfTwo) {
  auto tensors = named({"m.a", "n.a"});
  const Error error = error_of([&] { apply_key_map(KeyMap::parse("m.* -> *\nn.* -> *", "m"), tensors); });
  EXPECT_EQ(error.code(), ErrorCode::import_failed);
  EXPECT_NE(error.message().find("m.a"), std::string::npos);
}

TEST(StripCommonPrefixes, RemovesNestedWrappersThatAllKeysShare) {
  auto tensors = named({"_orig_mod.module.fc.weight", "_orig_mod.module.fc.bias"});
  EXPECT_EQ(strip_common_prefixes(tensors), "_orig_mod.module.");
  EXPECT_EQ(names_of(tensors), (std::vector<std::string>{"fc.weight", "fc.bias"}));
}

TEST(StripCommonPrefixes, LeavesAPrefixThatOneKeyLacks) {
  auto tensors = named({"module.fc.weight", "fc.bias"});
  EXPECT_EQ(strip_common_prefixes(tensors), "");
  EXPECT_EQ(tensors[0].name, "module.fc.weight");
  auto none = named({});
  EXPECT_EQ(strip_common_prefixes(none), "");
}

}  // namespace
}  // namespace resnet::convert
