// The includes of this very tree.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "unit/includes/include_rules.hpp"

namespace resnet::test {
namespace {

namespace fs = std::filesystem;

bool is_source(const fs::path& path) {
  static const std::set<std::string> extensions = {".hpp", ".h", ".cpp", ".c", ".cc", ".cu", ".cuh", ".inl"};
  return extensions.contains(path.extension().string());
}

std::vector<SourceFile> sources() {
  const fs::path root = RESNET_SOURCE_DIR;
  std::vector<SourceFile> files;
  for (const char* folder : {"engine", "kernels", "tools", "examples"}) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      files.push_back({fs::relative(entry.path(), root).generic_string(),
                       std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>())});
    }
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

TEST(Includes, GoOneWayInThisTree) {
  std::string report;
  for (const Violation& violation : check_includes(sources())) report += to_string(violation) + "\n";
  EXPECT_EQ(report, "") << "docs/architecture.md has the table of who may include whom";
}

TEST(KernelSources, HoldNoVendorSyntax) {
  std::string report;
  for (const Violation& violation : check_kernel_words(sources())) report += to_string(violation) + "\n";
  EXPECT_EQ(report, "") << "docs/kernels.md says how a kernel is written";
}

TEST(Includes, OfEveryLayerWereRead) {
  std::set<std::string> parts;
  std::size_t includes = 0;
  for (const SourceFile& file : sources()) {
    parts.insert(part_of(file.path));
    includes += parse_includes(file.text).size();
  }
  for (const char* layer : {"engine/include/resnet_engine", "engine/base", "engine/ops", "engine/graph", "engine/model",
                            "engine/backends", "engine/plan", "engine/image", "engine/runtime"})
    EXPECT_TRUE(parts.contains(layer)) << "no source found under " << layer;
  EXPECT_GT(includes, 100u);
}

}  // namespace
}  // namespace resnet::test
