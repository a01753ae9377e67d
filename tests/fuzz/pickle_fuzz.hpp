#pragma once

#include <cstddef>
#include <vector>

namespace resnet::convert::fuzz {

/// Reads a whole file and every storage of its tensors. True when accepted, false when refused by an Error; any other
/// way out is a bug.
bool read_file(std::vector<std::byte> bytes);
/// The same for the bytes of data.pkl alone.
bool read_pickle_bytes(const std::vector<std::byte>& bytes);

}  // namespace resnet::convert::fuzz
