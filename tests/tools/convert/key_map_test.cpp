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

TEST(KeyMap, TheFirstMatchingLineCountsWhateverPartsItsPatternHas) {
  const KeyMap map =
      KeyMap::parse("a.*.fc -> 1\n*.b.* -> 2\n*fc -> 3\na.b.*.long -> 4\n*. -> 5\nx.x -> 6\nx* -> 7", "m");
  EXPECT_EQ(map.apply("a.b.fc"), "1");
  EXPECT_EQ(map.apply("a.b.c.long"), "2");
  EXPECT_EQ(map.apply("b.b.fc"), "2");
  EXPECT_EQ(map.apply("b.c.fc"), "3");
  EXPECT_EQ(map.apply("afc"), "3");
  EXPECT_EQ(map.apply("long."), "5");
  EXPECT_EQ(map.apply("x.x"), "6");
  EXPECT_EQ(map.apply("x.y"), "7");
  EXPECT_EQ(map.apply("b.c"), "b.c");
  EXPECT_EQ(map.apply(""), "");
}

TEST(KeyMap, NamesTheLineThatIsWrong) {
  for (const char* text : {"\nnonsense", "\n-> x", "\nx ->", "\na -> *", "\n* -> **"}) {
    const Error error = error_of([&] { KeyMap::parse(text, "map.txt"); });
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << text;
    EXPECT_EQ(error.where(), "map.txt line 2") << text;
  }
}

TEST(KeyMap, IsBoundedInRulesTheirLengthAndTheNamesThatTheyMake) {
  const auto refused = [](const auto& work, const std::string& where) {
    const Error error = error_of(work);
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
    EXPECT_EQ(error.where(), where) << error.what();
    EXPECT_FALSE(error.next().empty()) << error.what();
    EXPECT_LT(error.message().size(), 200u) << error.what();
  };
  std::string rules = "# a comment is no rule\n";
  for (std::size_t i = 0; i < max_rules; ++i) rules += "a -> b\n";
  EXPECT_FALSE(KeyMap::parse(rules, "m").empty());
  refused([&] { KeyMap::parse(rules + "a -> b\n", "m"); }, "m line 1002");
  const std::string rule = "a -> " + std::string(max_rule_bytes - 5, 'b');
  EXPECT_FALSE(KeyMap::parse(rule, "m").empty());
  refused([&] { KeyMap::parse('\n' + rule + 'b', "m"); }, "m line 2");

  const KeyMap map = KeyMap::parse("x -> y\nk* -> longer.*", "m");
  auto long_names = named({'k' + std::string(max_renamed_bytes - 7, 'a'), std::string(5000, 'u')});
  apply_key_map(map, long_names);  // as long as may be, and one that keeps its name
  EXPECT_EQ(long_names[0].name.size(), max_renamed_bytes);
  auto too_long = named({'k' + std::string(max_renamed_bytes - 6, 'a')});
  refused([&] { apply_key_map(map, too_long); }, "m line 2");
}

TEST(KeyMap, RenamesAndDropsTensors) {
  auto tensors = named({"m.a", "m.b", "x"});
  apply_key_map(KeyMap::parse("m.* -> *\nx -> -", "m"), tensors);
  EXPECT_EQ(names_of(tensors), (std::vector<std::string>{"a", "b"}));
}

TEST(KeyMap, ReportsPatternsThatMatchNoKey) {
  auto tensors = named({"m.a", "x"});
  const KeyMap map = KeyMap::parse("m.* -> *\nm.a -> z\nx -> -\nq.* -> *", "m");
  EXPECT_EQ(apply_key_map(map, tensors), (std::vector<std::string>{"m.a", "q.*"}));
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
