#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/exit_code.hpp"
#include "common/npy.hpp"

namespace resnet::tools {

/// One thing to classify: a picture file, or one row of an array file.
struct Input {
  std::string name;  ///< as printed: the path, or "x.npy[3]" for a row of several
  std::string path;
  std::shared_ptr<const NpyReader> array;  ///< null for a picture
  std::int64_t row = 0;
  std::string failure;  ///< not empty: it cannot be used, and why
};

/// The extensions that a directory is searched for, lower case, with the dot.
bool is_picture_name(std::string_view path);
bool is_array_name(std::string_view path);

/// Turns the arguments into inputs, in the order of the arguments:
/// a file stands for itself; a directory for the pictures and arrays in it and below, sorted by path, hidden ones left
/// out; `@list.txt` for the files and directories that it names, one a line, relative to the working directory (empty
/// lines are skipped); an array file for each of its rows. What cannot be used becomes an Input with a failure.
std::vector<Input> expand_inputs(const std::vector<std::string>& arguments);

}  // namespace resnet::tools
