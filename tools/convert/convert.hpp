#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "common/session_choice.hpp"
#include "convert/key_map.hpp"
#include "convert/recognise.hpp"
#include "convert/source_file.hpp"

namespace resnet::convert {

/// What is to be made of a source file; all texts are read before, so that the conversion opens nothing.
struct Request {
  std::string source_name;  ///< without folders, for the provenance
  ArchChoice arch;
  KeyMap map;
  std::string preset;                              ///< --preset, or empty
  std::optional<std::vector<std::string>> labels;  ///< --labels
  std::optional<tools::Size> input_size;           ///< --input-size
  std::string net;                                 ///< of torchvision:NAME, or empty
  std::string assume_preset;                       ///< of a file known by where it was found, or empty
  std::vector<std::string> imagenet_labels;
};

/// The model file and the report, a JSON object:
/// {"importer","tensors","sha256","known","architecture","why","assumed","notes":[..],"mapping":[{"key","tensor","layer","role",
///  "shape","type","stored"}],"ignored":[..],"parameters":{"trainable","running","expected"},
///  "configured","preset","input":[h,w,c],"labels","classes"}
struct Converted {
  std::vector<std::vector<std::byte>> model;  ///< the file's bytes in pieces: the header, then every tensor
  Json report;
};

/// Reads, recognises, maps and serialises. Parses untrusted bytes: runs inside the limited child.
Converted convert_source(const SourceFiles& files, const Request& request);

}  // namespace resnet::convert
