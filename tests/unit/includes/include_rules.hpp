#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace resnet::test {

/// A source file as the rules see it. `path` is relative to the repository's root, with forward slashes.
struct SourceFile {
  std::string path;
  std::string text;
};

/// One `#include` line.
struct Include {
  int line = 0;  ///< from 1
  std::string name;
  bool angled = false;
};

/// An include that the table of docs/architecture.md forbids.
struct Violation {
  std::string file;
  int line = 0;
  std::string include;
  std::string reason;
};

/// The include lines of a C++ source, comments left out. Sees both branches of an `#if`.
std::vector<Include> parse_includes(std::string_view text);

/// The part of the house that a path belongs to ("engine/base", "tools/convert" ...), or "" where no rule applies.
std::string part_of(std::string_view path);

/// Every violation in `files`, in their order.
std::vector<Violation> check_includes(const std::vector<SourceFile>& files);

/// Every line of kernels/*.cu and kernels/*.hpp that holds CUDA syntax, assembly or a conditional of the preprocessor:
/// those belong into kernels/device, so that each kernel is one text for the GPU and for the emulator.
std::vector<Violation> check_kernel_words(const std::vector<SourceFile>& files);

/// "engine/plan/x.cpp:3: cpu/conv.hpp: reason"
std::string to_string(const Violation& violation);

}  // namespace resnet::test
