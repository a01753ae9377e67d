#include "convert/label_file.hpp"

#include <gtest/gtest.h>

#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;
using namespace std::string_literals;

using Labels = std::vector<std::string>;

void expect_refusal(const std::string& text, const std::string& where, const std::string& why) {
  const Error error = error_of([&] { parse_labels(text, "--labels names.txt"); });
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
  EXPECT_EQ(error.where(), "--labels names.txt" + where);
  EXPECT_NE(error.message().find(why), std::string::npos) << error.what();
  EXPECT_FALSE(error.next().empty()) << error.what();
}

TEST(LabelFile, HoldsOneNamePerLine) {
  const Labels expected = {"cat", " d\xC3\xB6g, ", "cat"};
  for (const char* text : {"cat\n d\xC3\xB6g, \ncat", "cat\r\n d\xC3\xB6g, \r\ncat\r\n\r\n\n",
                           "\xEF\xBB\xBF"
                           "cat\n d\xC3\xB6g, \ncat\n"}) {
    EXPECT_EQ(parse_labels(text, "f"), expected);
  }
}

TEST(LabelFile, NamesTheLineThatIsNoName) {
  expect_refusal("a\n\nb\n", " line 2", "is empty");
  expect_refusal("\na\n", " line 1", "is empty");
  expect_refusal("a\n\r\nb\n", " line 2", "is empty");
  expect_refusal("a\nb\0\nc\n"s, " line 2", "0x00");
  expect_refusal("\x1b[31m\n", " line 1", "0x1b");
  expect_refusal("a\rb\n", " line 1", "0x0d");  // line ends of old
  expect_refusal("a\tb\n", " line 1", "0x09");
  expect_refusal("a\nb\x7F\n", " line 2", "0x7f");
  expect_refusal("a\nb\xFF\n", " line 2", "is no UTF-8");
  expect_refusal("\xFF\xFE\x61\x00\n\x00"s, " line 1", "0x00");  // UTF-16
  expect_refusal("a\n\xEF\xBB\n", " line 2", "is no UTF-8");
}

TEST(LabelFile, IsNeitherEmptyNorEndless) {
  for (const char* text : {"", "\n\r\n", "\xEF\xBB\xBF", "\xEF\xBB\xBF\n"}) expect_refusal(text, "", "holds no label");
  expect_refusal(std::string(max_label_bytes, 'a') + '\n', "", "4 MiB");
  std::string many;
  for (std::size_t i = 0; i < max_labels; ++i) many += "a\n";
  EXPECT_EQ(parse_labels(many, "f").size(), max_labels);
  expect_refusal(many + 'a', " line 200000", "limit of 199999");
}

}  // namespace
}  // namespace resnet::convert
