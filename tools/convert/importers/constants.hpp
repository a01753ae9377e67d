#pragma once

#include <string>
#include <vector>

namespace resnet::convert {

struct Imported;

/// A vector that an importer computed, to be used like a tensor of the file.
struct Constant {
  std::string name;
  std::vector<float> values;
};

/// Appends constants to what was imported; its storages stay as they are.
void add_constants(Imported& imported, std::vector<Constant> constants);

}  // namespace resnet::convert
