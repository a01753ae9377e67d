#include "convert/caches.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/check.hpp"
#include "convert/known_files.hpp"
#include "convert/known_nets.hpp"

namespace resnet::convert {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

/// timm republishes torchvision's weights under torchvision's key names: tag tv = V1, tv2 = V2.
struct Repository {
  std::string_view tag, version;
};
constexpr std::array<Repository, 2> repositories = {{{"tv2_in1k", "IMAGENET1K_V2"}, {"tv_in1k", "IMAGENET1K_V1"}}};

/// The newest snapshot's weight file of a repository in Hugging Face's cache, or "".
std::string newest_snapshot(const fs::path& repository) {
  std::error_code error;
  std::string best;
  fs::file_time_type best_time;
  for (const auto& snapshot : fs::directory_iterator(repository / "snapshots", error)) {
    for (const char* name : {"model.safetensors", "pytorch_model.bin"}) {
      const fs::path file = snapshot.path() / name;
      if (!fs::is_regular_file(file, error)) continue;
      const auto time = fs::last_write_time(file, error);
      if (best.empty() || time > best_time) {
        best = file.string();
        best_time = time;
      }
      break;
    }
  }
  return best;
}

std::string file_name(const KnownFile& file) { return std::string(file.net) + '-' + std::string(file.hash) + ".pth"; }

}  // namespace

CacheFolders CacheFolders::from_environment() {
  const std::string home = environment("HOME");
  std::string cache = environment("XDG_CACHE_HOME");
  if (cache.empty()) cache = home + "/.cache";
  CacheFolders folders;
  const std::string torch = environment("TORCH_HOME");
  folders.torch = (torch.empty() ? cache + "/torch" : torch) + "/hub/checkpoints";
  folders.hugging_face = environment("HF_HUB_CACHE");
  if (folders.hugging_face.empty()) {
    const std::string hf = environment("HF_HOME");
    folders.hugging_face = (hf.empty() ? cache + "/huggingface" : hf) + "/hub";
  }
  return folders;
}

CachedFile find_cached(std::string_view net, const CacheFolders& folders) {
  if (find_torchvision_net(net) == nullptr) {
    std::string names;
    for (const KnownNet& known : torchvision_nets()) names += (names.empty() ? "" : ", ") + std::string(known.name);
    fail(ErrorCode::invalid_argument, "torchvision has no ResNet of that name", "torchvision:" + std::string(net),
         "use one of " + names);
  }
  std::error_code error;
  std::string addresses;
  for (const KnownFile& file : known_files()) {
    if (file.net != net) continue;
    const fs::path path = fs::path(folders.torch) / file_name(file);
    if (fs::is_regular_file(path, error)) return {path.string(), {}};
    addresses +=
        (addresses.empty() ? " https://download.pytorch.org/models/" : ", https://download.pytorch.org/models/") +
        file_name(file) + " (" + std::string(file.version) + ')';
  }
  for (const Repository& repository : repositories) {
    const std::string folder = "models--timm--" + std::string(net) + '.' + std::string(repository.tag);
    const std::string path = newest_snapshot(fs::path(folders.hugging_face) / folder);
    if (path.empty()) continue;
    const auto files = known_files();
    const auto file = std::find_if(files.begin(), files.end(), [&](const KnownFile& known) {
      return known.net == net && known.version == repository.version;
    });
    return {path, file == files.end() ? std::string() : std::string(file->preset)};
  }
  fail(ErrorCode::io,
       "no local copy in " + folders.torch + " or " + folders.hugging_face + "; this tool downloads nothing",
       "torchvision:" + std::string(net), "fetch one of these files and convert it by its path:" + addresses);
}

}  // namespace resnet::convert
