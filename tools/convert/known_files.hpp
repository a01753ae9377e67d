#pragma once

#include <span>
#include <string_view>

namespace resnet::convert {

/// A weight file that torchvision publishes. Nothing inside distinguishes its two generations (same shapes), and they
/// want different preprocessing: they are told apart by content hash.
struct KnownFile {
  std::string_view net;      ///< "resnet50"
  std::string_view hash;     ///< first eight hexadecimal digits of the file's SHA-256, as in its name
  std::string_view version;  ///< "IMAGENET1K_V1"
  std::string_view preset;   ///< "torchvision" or "torchvision-v2"
};

/// All of them, the one that torchvision prefers first within a net.
std::span<const KnownFile> known_files();
/// The file with this SHA-256 (64 hexadecimal digits), or null.
const KnownFile* find_known_file(std::string_view sha256);

}  // namespace resnet::convert
