#include "common/npy.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <limits>
#include <optional>

#include "common/tool_error.hpp"
#include "support/scratch_folder.hpp"

namespace resnet::tools {
namespace {

using test::read_text;
using test::ScratchFolder;
using test::write_text;

std::string file_text(std::string_view dictionary, std::size_t data_bytes, int major = 1) {
  std::string text = "\x93NUMPY";
  text += static_cast<char>(major);
  text += '\0';
  const std::size_t length = dictionary.size();
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) text += static_cast<char>(length >> (8 * i) & 0xFF);
  text += dictionary;
  return text + std::string(data_bytes, '\1');
}

NpyHeader parse(const std::string& text) {
  return parse_npy_header(std::as_bytes(std::span(text)), text.size(), "x.npy");
}

std::optional<ErrorCode> refusal(const std::string& text) {
  try {
    parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "x.npy");
    return error.code();
  }
  return std::nullopt;
}

TEST(NpyHeader, ReadsWhatNumpyWrites) {
  const auto header = parse(file_text("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }        \n", 24));
  EXPECT_EQ(header.type, NpyType::f32);
  EXPECT_EQ(header.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(header.elements(), 6);
}

TEST(NpyHeader, ReadsAllThreeVersions) {
  for (const int major : {1, 2, 3}) {
    const auto header = parse(file_text("{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }\n", 5, major));
    EXPECT_EQ(header.type, NpyType::u8);
    EXPECT_EQ(header.elements(), 5);
  }
}

TEST(NpyHeader, ReadsAScalarAnEmptyArrayAndKeysInAnyOrder) {
  EXPECT_EQ(parse(file_text("{\"shape\":(),\"fortran_order\":False,\"descr\":\"<f8\"}", 8)).elements(), 1);
  EXPECT_EQ(parse(file_text("{'descr':'<f4','fortran_order':False,'shape':(0, 3)}", 0)).elements(), 0);
}

TEST(NpyHeader, RefusesOtherElementTypes) {
  for (const char* descr : {"'>f4'", "'<f2'", "'<i8'", "'|O'", "'|b1'", "'=f4'"}) {
    const std::string text = std::string("{'descr': ") + descr + ", 'fortran_order': False, 'shape': (1,), }";
    EXPECT_EQ(refusal(file_text(text, 4)), ErrorCode::bad_dtype) << descr;
  }
}

TEST(NpyHeader, KnowsFortranOrderWhereItMatters) {
  EXPECT_TRUE(parse(file_text("{'descr': '|u1', 'fortran_order': True, 'shape': (1, 4), }", 4)).fortran_order);
  EXPECT_FALSE(parse(file_text("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", 4)).fortran_order);
  const std::string large = file_text("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 33554433), }", 0);
  const auto parse_large = [&] {
    parse_npy_header(std::as_bytes(std::span(large)), large.size() + std::uint64_t{8} * 33554433, "x.npy");
  };
  try {
    parse_large();
    FAIL() << "took an array whose rows would be read from all over a large file";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::limit_exceeded);
    EXPECT_NE(error.next().find("ascontiguousarray"), std::string::npos);
  }
}

TEST(NpyHeader, RefusesAFileOfTheWrongSize) {
  constexpr std::string_view dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  EXPECT_EQ(refusal(file_text(dictionary, 7)), ErrorCode::truncated);
  EXPECT_EQ(refusal(file_text(dictionary, 9)), ErrorCode::trailing_bytes);
  EXPECT_EQ(refusal(file_text("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2), }", 4)),
            ErrorCode::trailing_bytes);
}

TEST(NpyHeader, RefusesEveryPrefixOfAFile) {
  const std::string whole = file_text("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 4);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(refusal(whole.substr(0, length)), ErrorCode::truncated) << length;
  }
}

TEST(NpyHeader, RefusesMalformedDictionaries) {
  for (const char* text : {"", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
                           "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
                           "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 'x'}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "{'descr': '<f4",
                           "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "__import__('os')"}) {
    EXPECT_EQ(refusal(file_text(text, 4)), ErrorCode::bad_header) << text;
  }
}

TEST(NpyHeader, RefusesAnotherMagicAndAnotherVersion) {
  std::string text = file_text("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 4);
  text[6] = 4;
  EXPECT_EQ(refusal(text), ErrorCode::bad_header);
  EXPECT_EQ(refusal("PK\3\4 this is a zip file and no array"), ErrorCode::bad_header);
}

TEST(NpyHeader, RefusesSizesThatDoNotFit) {
  const auto with_shape = [](const char* shape) {
    return file_text(std::string("{'descr': '<f4', 'fortran_order': False, 'shape': ") + shape + "}", 4);
  };
  EXPECT_EQ(refusal(with_shape("(99999999999999999999,)")), ErrorCode::overflow);
  EXPECT_EQ(refusal(with_shape("(4294967296, 4294967296)")), ErrorCode::overflow);
  EXPECT_EQ(refusal(with_shape("(9223372036854775807,)")), ErrorCode::overflow);
  std::string many = "(";
  for (int i = 0; i < 33; ++i) many += "1,";
  EXPECT_EQ(refusal(with_shape((many + ")").c_str())), ErrorCode::limit_exceeded);
}

TEST(NpyHeader, RefusesALongHeaderBeforeReadingIt) {
  std::string text = "\x93NUMPY";
  text += {'\2', '\0', '\0', '\0', '\0', '\x7f'};
  EXPECT_EQ(refusal(text), ErrorCode::limit_exceeded);
}

TEST(NpyFile, GivesBackTheRowsThatWereWritten) {
  const ScratchFolder folder;
  {
    const std::vector<std::int64_t> row{2, 1};
    NpyWriter writer(folder / "x.npy");
    writer.append(std::vector<float>{1, 2, 3, 4}, row);
    writer.append(std::vector<float>{-0.5f, std::numeric_limits<float>::denorm_min()}, row);
    writer.commit();
  }
  const NpyReader reader(folder / "x.npy");
  EXPECT_EQ(reader.header().shape, (std::vector<std::int64_t>{3, 2, 1}));
  EXPECT_EQ(reader.header().data_offset % 64, 0u);
  std::vector<float> rows(4);
  reader.read_rows(1, 2, rows);
  EXPECT_EQ(rows, (std::vector<float>{3, 4, -0.5f, std::numeric_limits<float>::denorm_min()}));
}

TEST(NpyFile, HoldsRowsOfOneShapeOnly) {
  const ScratchFolder folder;
  NpyWriter writer(folder / "x.npy");
  writer.append(std::vector<float>(4), std::vector<std::int64_t>{2, 2});
  EXPECT_TRUE(writer.fits(std::vector<std::int64_t>{2, 2}));
  EXPECT_FALSE(writer.fits(std::vector<std::int64_t>{4, 1}));
  EXPECT_THROW(writer.append(std::vector<float>(4), std::vector<std::int64_t>{4, 1}), Error);
  EXPECT_THROW(writer.append(std::vector<float>(3), std::vector<std::int64_t>{2, 2}), Error);
}

TEST(NpyFile, IsNotWrittenWithoutRows) {
  const ScratchFolder folder;
  NpyWriter(folder / "x.npy").commit();
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(NpyFile, ConvertsDoublesAndBytes) {
  const ScratchFolder folder;
  const double values[] = {0.1, -2};
  std::string text = file_text("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", 16);
  std::memcpy(text.data() + text.size() - 16, values, 16);
  write_text(folder / "d.npy", text);
  std::vector<float> out(2);
  NpyReader(folder / "d.npy").read_rows(0, 2, out);
  EXPECT_EQ(out, (std::vector<float>{0.1f, -2}));

  text = file_text("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", 2);
  text.back() = '\xff';
  write_text(folder / "b.npy", text);
  NpyReader(folder / "b.npy").read_rows(0, 2, out);
  EXPECT_EQ(out, (std::vector<float>{1, 255}));
}

/// rows x 3 x 2 of the values 100 r + 10 i + j, the first axis fastest.
std::string fortran_text(std::int64_t rows, bool bytes) {
  std::string text = file_text(std::string("{'descr': '") + (bytes ? "|u1" : "<f4") +
                                   "', 'fortran_order': True, 'shape': (" + std::to_string(rows) + ", 3, 2), }",
                               0);
  for (int j = 0; j < 2; ++j) {
    for (int i = 0; i < 3; ++i) {
      for (std::int64_t r = 0; r < rows; ++r) {
        const auto value = static_cast<float>(100 * r + 10 * i + j);
        if (bytes) {
          text += static_cast<char>(value);
        } else {
          text.append(reinterpret_cast<const char*>(&value), sizeof value);
        }
      }
    }
  }
  return text;
}

TEST(NpyFile, ReadsFortranOrder) {
  const ScratchFolder folder;
  write_text(folder / "b.npy", fortran_text(2, true));
  std::vector<float> all(12);
  NpyReader(folder / "b.npy").read_rows(0, 2, all);
  EXPECT_EQ(all, (std::vector<float>{0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121}));

  for (const std::int64_t rows : {3, 20'000}) {  // several columns in one read, and one in more than one piece
    write_text(folder / "f.npy", fortran_text(rows, false));
    const NpyReader reader(folder / "f.npy");
    for (const std::int64_t first : {std::int64_t{1}, rows - 2}) {
      reader.read_rows(first, 2, all);
      std::vector<float> expected;
      for (const std::int64_t r : {first, first + 1}) {
        for (const std::int64_t place : {0, 1, 10, 11, 20, 21}) expected.push_back(static_cast<float>(100 * r + place));
      }
      EXPECT_EQ(all, expected) << rows << " rows from " << first;
    }
    std::vector<float> none;
    reader.read_rows(rows, 0, none);
  }
}

TEST(NpyFile, NoticesThatTheFileBecameShorter) {
  const ScratchFolder folder;
  const std::string text = file_text("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8);
  write_text(folder / "x.npy", text);
  const NpyReader reader(folder / "x.npy");
  write_text(folder / "x.npy", text.substr(0, text.size() - 1));
  std::vector<float> out(2);
  try {
    reader.read_rows(0, 2, out);
    FAIL() << "read a file that had become shorter";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::file_changed);
  }
}

TEST(NpyFile, RefusesRowsOutsideTheArray) {
  const ScratchFolder folder;
  write_text(folder / "x.npy", file_text("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8));
  const NpyReader reader(folder / "x.npy");
  std::vector<float> out(2);
  EXPECT_THROW(reader.read_rows(1, 2, out), Error);
  EXPECT_THROW(reader.read_rows(-1, 2, out), Error);
  EXPECT_THROW(reader.read_rows(0, 1, out), Error);
}

TEST(NpyFile, NamesAMissingFile) {
  try {
    const NpyReader reader("/nowhere/x.npy");
    FAIL() << "opened a missing file";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "/nowhere/x.npy: cannot open: No such file or directory; check the path");
  }
}

TEST(NpyFile, DoesNotWaitForAPipe) {
  const ScratchFolder folder;
  const std::string pipe = folder / "pipe.npy";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(NpyReader{pipe}, Error);
}

TEST(NpyFile, HasAHeaderOfFixedLengthForAnyNumberOfRows) {
  const std::vector<std::int64_t> row{1000};
  EXPECT_EQ(npy_header_bytes(0, row).size(), npy_header_bytes(std::numeric_limits<std::int64_t>::max(), row).size());
  EXPECT_EQ(npy_header_bytes(7, row).substr(10, 62), "{'descr': '<f4', 'fortran_order': False, 'shape': (7, 1000), }");
}

}  // namespace
}  // namespace resnet::tools
