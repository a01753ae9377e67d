#include "common/text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace resnet::tools {
namespace {

TEST(Text, ShowsControlCharactersInsteadOfObeyingThem) {
  EXPECT_EQ(printable("a\x1b[31m\nb\x7f"), "a\\x1b[31m\\x0ab\\x7f");
  EXPECT_EQ(printable("\xC2\x9B"), "\xEF\xBF\xBD");
  EXPECT_EQ(printable("gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\x88"), "gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\x88");
}

TEST(Text, ReplacesBytesThatAreNoUtf8) {
  EXPECT_EQ(to_utf8("caf\xE9"), "caf\xEF\xBF\xBD");
  EXPECT_EQ(to_utf8("\xC0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD");                  // overlong
  EXPECT_EQ(to_utf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // surrogate
  EXPECT_EQ(to_utf8("\xF4\x90\x80\x80").size(), 12u);                          // beyond U+10FFFF
  EXPECT_EQ(to_utf8("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");                  // cut off
  EXPECT_EQ(to_utf8("a\nb"), "a\nb");
}

TEST(Text, QuotesCsvFieldsOnlyWhereNeeded) {
  EXPECT_EQ(csv_field("tabby"), "tabby");
  EXPECT_EQ(csv_field("tabby, tabby cat"), "\"tabby, tabby cat\"");
  EXPECT_EQ(csv_field("10\" ruler"), "\"10\"\" ruler\"");
  EXPECT_EQ(csv_field("two\nlines"), "\"two\nlines\"");
  EXPECT_EQ(csv_field(""), "");
}

TEST(Text, WritesTheShortestDigitsThatReadBack) {
  EXPECT_EQ(shortest(0.7713f), "0.7713");
  EXPECT_EQ(shortest(1.0f), "1");
  EXPECT_EQ(std::stof(shortest(1.0f / 3)), 1.0f / 3);
  EXPECT_EQ(shortest(std::numeric_limits<float>::infinity()), "inf");
}

TEST(Text, GroupsDigitsAndScalesUnits) {
  EXPECT_EQ(grouped(25557032), "25,557,032");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(-1000), "-1,000");
  EXPECT_EQ(grouped(-999), "-999");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(100663296), "96.0 MiB");
  EXPECT_EQ(human_count(4089184256.0), "4.09 G");
  EXPECT_EQ(human_count(12), "12");
}

TEST(Table, AlignsItsColumns) {
  Table table({"layer", ">ms"});
  table.row({"conv1", "12.5"});
  table.row({"\xC3\xBC", "3"});
  EXPECT_EQ(table.text(),
            "layer    ms\n"
            "conv1  12.5\n"
            "\xC3\xBC         3\n");
}

}  // namespace
}  // namespace resnet::tools
