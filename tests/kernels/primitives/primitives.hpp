#pragma once

#include <string>

namespace resnet::test {

/// What every building block of kernels/device gives to each lane of a warp, for fixed operands, as JSON: object
/// "exact" of names to hexadecimal words, lane after lane, and "device". On a GPU this is a recording that the emulator
/// is held against (tests/golden/primitives); "inexact" holds what hardware may round as it likes, for people. A block
/// that fails ends the recording: "error" says which one and why.
/// @throws std::runtime_error where CUDA fails before the first one
std::string record_primitives();

}  // namespace resnet::test
