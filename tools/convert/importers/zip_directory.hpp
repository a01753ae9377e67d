#pragma once

#include <cstdint>

#include "convert/source_file.hpp"

namespace resnet::convert {

/// Where a zip file's central directory lies and how many entries it says it has.
struct ZipDirectory {
  std::uint64_t entries = 0, bytes = 0, offset = 0;
};

/// Finds the directory by the end record, which must be the file's last bytes, also in Zip64: nothing is hidden behind
/// it, and no two readers can disagree about which directory counts. Costs three short reads, whatever the file holds.
/// @throws Error import_failed
ZipDirectory find_zip_directory(const SourceFile& file);

/// libzip hands out each entry's bytes without asking whom else they belong to: compares the entries' places, which
/// it does not tell.
/// @throws Error import_failed that names entries which overlap each other or the directory
void check_zip_layout(const SourceFile& file, const ZipDirectory& directory);

}  // namespace resnet::convert
