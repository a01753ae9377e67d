#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace resnet::convert {
struct Importer;
}

namespace resnet::convert::fuzz {

// What the libFuzzer targets run, so that tests replay the corpora in any build. Each returns whether the bytes were
// accepted; anything but a result or an Error is a finding.

/// A whole file through one importer, every tensor read.
bool read_as(const Importer& importer, std::vector<std::byte> bytes);
/// The same through the importer that its first bytes choose.
bool read_file(std::vector<std::byte> bytes);
/// The same in the limited child, for importers whose library may crash: that must end as an Error too.
bool read_limited(const Importer& importer, std::vector<std::byte> bytes);
/// A pickle alone, down to its state dict.
bool read_pickle_bytes(const std::vector<std::byte>& bytes);
/// A Keras architecture, translated.
bool read_keras_json(std::string_view json);

}  // namespace resnet::convert::fuzz
