#pragma once

#include <string>

#include "convert/source_file.hpp"

namespace resnet::convert {

/// The weight file that a path means: the path itself, or the one in a folder as Hugging Face's hub lays it out
/// (model.safetensors, pytorch_model.bin, or the index of several files).
/// @throws Error io when the folder holds none, or one that cannot be read
std::string weight_file(const std::string& path);

/// Opens the files beside `path` that may belong to it, without reading them: config.json, preprocessor_config.json
/// and, for an index, the weight files of its folder. What cannot be opened is an error when it is asked for.
/// @throws Error io, limit_exceeded
void open_hub_files(const std::string& path, SourceFiles& files);

}  // namespace resnet::convert
