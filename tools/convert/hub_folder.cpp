#include "convert/hub_folder.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/check.hpp"

namespace resnet::convert {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 4> weight_files = {"model.safetensors", "model.safetensors.index.json",
                                                     "pytorch_model.bin", "pytorch_model.bin.index.json"};
constexpr std::size_t max_shards = 1000;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace

std::string weight_file(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  std::string names;
  for (const char* name : weight_files) {
    if (is_file(fs::path(path) / name)) return (fs::path(path) / name).string();
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  if (is_file(fs::path(path) / "saved_model.pb")) {
    fail(ErrorCode::import_failed, "is a TensorFlow SavedModel, which is not read", path,
         "save the model with model.save(\"model.keras\"), or export ONNX");
  }
  fail(ErrorCode::io, "is a folder without " + names, path, "name the weight file inside it");
}

void open_hub_files(const std::string& path, SourceFiles& files) {
  const fs::path main(path);
  fs::path folder = main.parent_path();
  if (folder.empty()) folder = ".";
  std::vector<std::string> names = {"config.json", "preprocessor_config.json"};
  constexpr std::string_view index = ".index.json";
  if (path.ends_with(index)) {
    const std::string suffix = path.ends_with(".bin.index.json") ? ".bin" : ".safetensors";
    std::error_code error;
    std::size_t shards = 0;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
      const std::string name = at->path().filename().string();
      if (!name.ends_with(suffix) || name.find("-of-") == std::string::npos) continue;
      if (++shards > max_shards) {
        fail(ErrorCode::limit_exceeded, "holds more than " + std::to_string(max_shards) + " weight files",
             folder.string());
      }
      names.push_back(name);
    }
    if (error) fail(ErrorCode::io, "cannot be listed: " + error.message(), folder.string());
  }
  for (const std::string& name : names) {
    const fs::path beside = folder / name;
    if (name != main.filename().string() && is_file(beside)) {
      files.beside.emplace(name, SourceFile::open(beside.string()));
    }
  }
}

}  // namespace resnet::convert
