// tests/golden/pickle: files that Python's own pickle and zipfile wrote, good and hostile ones.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"
#include "tools/convert/import_check.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

const std::string folder = RESNET_SOURCE_DIR "/tests/golden/pickle/";

/// Name and text that the refusal mentions.
std::vector<std::pair<std::string, std::string>> corpus() {
  std::vector<std::pair<std::string, std::string>> files;
  std::istringstream lines(read_text(folder + "expected.txt"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t tab = line.find('\t');
    files.emplace_back(line.substr(0, tab), line.substr(tab + 1));
  }
  return files;
}

TEST(PickleCorpus, IsCompleteAndLarge) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files += entry.path().extension() == ".pth" ? 1u : 0u;
  EXPECT_EQ(files, corpus().size());
  EXPECT_GE(files, 80u);
}

TEST(PickleCorpus, GoodFilesAreReadAndBadOnesRefusedForTheirReason) {
#ifndef RESNET_CORPUS_READABLE
  GTEST_SKIP() << "built without libzip";
#else
  for (const auto& [name, mention] : corpus()) {
    const SourceFile file = SourceFile::open(folder + name + ".pth");
    if (name.starts_with("ok_")) {
      EXPECT_NO_THROW(read_imported(file)) << name;
      continue;
    }
    const Error error = error_of([&] { read_imported(file); });
    const std::string text = error.what();
    EXPECT_NE(error.code(), ErrorCode::internal) << name << ": " << text;
    EXPECT_NE(text.find(mention), std::string::npos) << name << ": " << text;
  }
#endif
}

#ifdef RESNET_CORPUS_READABLE
TEST(PickleCorpus, SharedAndStridedTensorsHaveTheRightValues) {
  const SourceFile shared = SourceFile::open(folder + "ok_shared.pth");
  EXPECT_EQ(floats(read_imported(shared), 0), (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(floats(read_imported(shared), 1), (std::vector<float>{3, 4, 5}));
  const SourceFile strided = SourceFile::open(folder + "ok_strided.pth");
  EXPECT_EQ(floats(read_imported(strided), 0), (std::vector<float>{0, 3, 1, 4, 2, 5}));
}

TEST(PickleCorpus, EveryTruncationOfAFileIsAnError) {
  const std::string bytes = read_text(folder + "ok_state_dict.pth");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const SourceFile file = SourceFile::from_bytes(to_bytes(bytes.substr(0, length)), "cut.pth");
    EXPECT_NE(error_of([&] { read_imported(file); }).code(), ErrorCode::internal) << length;
  }
}
#endif

TEST(Importers, ContainNothingThatResolvesOrRunsANameFromAFile) {
  // The promise "never executes anything" is kept by what is not there.
  const std::regex forbidden(R"(\b(dlopen|dlsym|system|popen|exec[lv]p?e?|posix_spawn|fork)\s*\()");
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(RESNET_SOURCE_DIR "/tools/convert/importers")) {
    if (!entry.is_regular_file()) continue;
    const std::string text = read_text(entry.path().string());
    std::smatch found;
    EXPECT_FALSE(std::regex_search(text, found, forbidden)) << entry.path() << ": " << found.str();
  }
}

}  // namespace
}  // namespace resnet::convert
