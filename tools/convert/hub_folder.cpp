#include "convert/hub_folder.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/check.hpp"
#include "convert/source_config.hpp"

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
    const std::string file = (fs::path(path) / name).string();
    if (const std::string why = why_no_file(file); !why.empty()) {
      fail(ErrorCode::io, why, file, "fetch it again, or name another weight file");
    }
    if (is_file(file)) return file;
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
  const std::string folder = main.parent_path().string(), own = main.filename().string();
  const auto open = [&](const std::string& name, const char* next) {
    if (name != own) files.open_beside(folder, name, next);
  };
  // Links are how the hub's cache is made; one that leads nowhere is a file that was not fetched.
  for (const char* name : {"config.json", "preprocessor_config.json"}) open(name, leave_configuration);
  if (!path.ends_with(".index.json")) return;

  const std::string suffix = path.ends_with(".bin.index.json") ? ".bin" : ".safetensors";
  const fs::path listed = folder.empty() ? "." : folder;
  std::error_code error;
  std::size_t shards = 0;
  for (fs::directory_iterator at(listed, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.ends_with(suffix)) continue;  // no index says how its files are called
    if (++shards > max_shards) {
      fail(ErrorCode::limit_exceeded, "holds more than " + std::to_string(max_shards) + " weight files",
           listed.string(), "move the index and its files to a folder of their own");
    }
    open(name, "fetch it again");
  }
  if (error) {
    fail(ErrorCode::io, "cannot be listed: " + error.message(), listed.string(), "make the folder readable");
  }
}

}  // namespace resnet::convert
