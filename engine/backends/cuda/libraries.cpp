#include "backends/cuda/libraries.hpp"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>

namespace resnet::cuda {
namespace {

namespace fs = std::filesystem;

constexpr int cudnn_major = 9;
constexpr int oldest_cudnn = 91900;  // the oldest that plans were checked with
/// Parts that planning and running convolutions load. `ops`, `cnn` and `adv` serve other calls.
constexpr std::array cudnn_parts{"libcudnn_graph.so.9", "libcudnn_heuristic.so.9", "libcudnn_engines_precompiled.so.9",
                                 "libcudnn_engines_runtime_compiled.so.9"};

std::string numbered(std::string_view name, int major) { return std::string(name) + ".so." + std::to_string(major); }

void* open_file(const std::string& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); }

std::string loader_message() {
  const char* const text = dlerror();
  return text ? text : "unknown reason";
}

std::string folder_of(void* handle) {
  link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map) return {};
  return fs::path(map->l_name).parent_path().string();
}

/// The folder that has `file`, by the rules of LibrarySearch.
std::optional<std::string> find_folder(const std::string& file, const LibrarySearch& search) {
  std::error_code ignored;
  if (!search.forced.empty()) {
    if (fs::exists(fs::path(search.forced) / file, ignored)) return search.forced;
    return std::nullopt;
  }
  if (search.loader) {
    if (void* const handle = open_file(file)) return folder_of(handle);
  }
  for (const std::string& folder : search.folders) {
    if (fs::exists(fs::path(folder) / file, ignored)) return folder;
  }
  return std::nullopt;
}

/// The first file of `folder` whose name starts with `prefix`, by name; empty when there is none.
std::string file_with_prefix(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    std::string name = entry.path().filename().string();
    if (name.starts_with(prefix)) names.push_back(std::move(name));
  }
  return names.empty() ? std::string() : *std::min_element(names.begin(), names.end());
}

/// A file of another major version where the wanted one would lie; empty when there is none.
std::string other_major(const std::string& prefix, const LibrarySearch& search) {
  std::vector<std::string> folders = search.folders;
  if (!search.forced.empty()) folders = {search.forced};
  for (const std::string& folder : folders) {
    if (const std::string name = file_with_prefix(folder, prefix); !name.empty())
      return (fs::path(folder) / name).string();
  }
  return {};
}

std::string not_found(std::string_view name, const std::string& file, const LibrarySearch& search,
                      const std::string& next) {
  std::string places = search.forced;
  if (search.forced.empty()) {
    places = search.loader ? "the loader's path" : "";
    for (const std::string& folder : search.folders) places += (places.empty() ? "" : ", ") + folder;
  }
  std::string text = std::string(name) + " was not found: no " + file + " in " + places;
  const std::string other = other_major(file.substr(0, file.rfind('.') + 1), search);
  if (!other.empty()) text = other + " is of another major version: this program needs " + file;
  return text + "; " + next;
}

template <class Function>
Function* find_symbol(void* handle, const char* name) {
  return reinterpret_cast<Function*>(dlsym(handle, name));
}

/// Calls a function that takes nothing and returns a version; nullopt and a reason when the library lacks it.
std::optional<std::size_t> ask_version(void* handle, const char* function, const std::string& path, std::string& why) {
  auto* const ask = find_symbol<std::size_t()>(handle, function);
  if (ask) return ask();
  why = path + " has no " + function + ": it is damaged or another library; install it again";
  return std::nullopt;
}

std::string cudnn_package(int cuda_major) {
  return "install cuDNN 9 (pip install nvidia-cudnn-cu" + std::to_string(cuda_major) +
         ", or NVIDIA's package) and set RESNET_ENGINE_CUDNN to the folder of libcudnn.so.9";
}

/// What run-time engines need beside cuDNN. NVRTC opens its builtins by bare name, so they are opened first.
std::string load_compiler(const LibrarySearch& search, const std::string& cudnn_folder,
                          const std::string& cublaslt_folder) {
  const std::string file = numbered("libnvrtc", search.cuda_major);
  LibrarySearch beside = search, elsewhere = search;
  beside.forced.clear(), beside.loader = false, beside.folders = {cublaslt_folder, cudnn_folder};
  elsewhere.forced.clear();
  auto folder = find_folder(file, beside);
  if (!folder) folder = find_folder(file, elsewhere);
  if (!folder) return not_found("NVRTC", file, elsewhere, "install it (pip install nvidia-cuda-nvrtc)");
  const std::string builtins = file_with_prefix(*folder, numbered("libnvrtc-builtins", search.cuda_major) + '.');
  if (builtins.empty())
    return "NVRTC in " + *folder + " has no libnvrtc-builtins beside it; install it again, with all of its files";
  for (const std::string& name : {builtins, file}) {
    if (!open_file((fs::path(*folder) / name).string()))
      return "NVRTC does not load: " + loader_message() + "; install it again";
  }
  return {};
}

CudnnLibrary refuse_cudnn(std::string why) {
  CudnnLibrary library;
  library.missing = std::move(why);
  return library;
}

}  // namespace

LibrarySearch default_search(const char* variable) {
  LibrarySearch search;
  search.cuda_major = RESNET_CUDA_MAJOR;
  if (const char* const folder = std::getenv(variable)) search.forced = folder;
  search.folders = {"/usr/local/cuda/lib64", "/usr/local/cuda/lib"};
  if (const char* const environment = std::getenv("VIRTUAL_ENV")) {
    std::error_code ignored;
    for (const auto& python : fs::directory_iterator(fs::path(environment) / "lib", ignored)) {
      const fs::path wheels = python.path() / "site-packages" / "nvidia";
      const std::string cuda = "cu" + std::to_string(search.cuda_major);
      for (const fs::path& folder : {wheels / "cudnn", wheels / cuda, wheels / "cublas", wheels / "cuda_nvrtc"}) {
        if (fs::exists(folder / "lib", ignored)) search.folders.push_back((folder / "lib").string());
      }
    }
  }
  return search;
}

Library load_cublaslt(const LibrarySearch& search) {
  Library library;
  if (search.forced == "off") {
    library.missing = "cuBLASLt is switched off by RESNET_ENGINE_CUBLASLT";
    return library;
  }
  const std::string file = numbered("libcublasLt", search.cuda_major);
  const auto folder = find_folder(file, search);
  if (!folder) {
    library.missing = not_found("cuBLASLt", file, search,
                                "install it (pip install nvidia-cublas, or NVIDIA's package) and set "
                                "RESNET_ENGINE_CUBLASLT to the folder of " +
                                    file);
    return library;
  }
  const std::string path = (fs::path(*folder) / file).string();
  void* const handle = open_file(path);
  if (!handle) {
    library.missing = "cuBLASLt does not load: " + loader_message() + "; install it again";
    return library;
  }
  const auto version = ask_version(handle, "cublasLtGetVersion", path, library.missing);
  if (!version) return library;
  if (static_cast<int>(*version / 10000) != search.cuda_major) {
    library.missing = path + " is cuBLASLt " + library_version_text(static_cast<int>(*version)) +
                      ", this program needs " + std::to_string(search.cuda_major) + ".x; set RESNET_ENGINE_CUBLASLT";
    return library;
  }
  return {handle, static_cast<int>(*version), *folder, {}};
}

CudnnLibrary load_cudnn(const LibrarySearch& search, const Library& cublaslt) {
  if (search.forced == "off") return refuse_cudnn("cuDNN is switched off by RESNET_ENGINE_CUDNN");
  if (!cublaslt) return refuse_cudnn("cuDNN needs cuBLASLt: " + cublaslt.missing);
  const std::string shim = numbered("libcudnn", cudnn_major);
  const auto folder = find_folder(shim, search);
  if (!folder) return refuse_cudnn(not_found("cuDNN 9", shim, search, cudnn_package(search.cuda_major)));
  const std::string path = (fs::path(*folder) / shim).string();
  for (const char* const part : cudnn_parts) {
    if (!open_file((fs::path(*folder) / part).string()))
      return refuse_cudnn("cuDNN in " + *folder + " is incomplete: " + loader_message() +
                          "; install it again, all of its files from one version");
  }
  CudnnLibrary library;
  void* const handle = open_file(path);
  if (!handle) return refuse_cudnn("cuDNN does not load: " + loader_message() + "; install it again");
  const auto version = ask_version(handle, "cudnnGetVersion", path, library.missing);
  const auto cuda = version ? ask_version(handle, "cudnnGetCudartVersion", path, library.missing) : version;
  if (!cuda) return library;
  const std::string name = "cuDNN " + library_version_text(static_cast<int>(*version)) + " in " + *folder;
  if (*version / 10000 != cudnn_major)
    return refuse_cudnn(name + " is of another major version, this program needs 9; " +
                        cudnn_package(search.cuda_major));
  if (*version < oldest_cudnn) {
    return refuse_cudnn(name + " is too old, this program needs " + library_version_text(oldest_cudnn) + " or newer; " +
                        cudnn_package(search.cuda_major));
  }
  if (static_cast<int>(*cuda / 1000) != search.cuda_major) {
    return refuse_cudnn(name + " is built for CUDA " + std::to_string(*cuda / 1000) + ", this program for CUDA " +
                        std::to_string(search.cuda_major) + "; " + cudnn_package(search.cuda_major));
  }
  auto* const same_version = find_symbol<int()>(handle, "cudnnGraphVersionCheck");
  if (!same_version || same_version() != 0)
    return refuse_cudnn(name + " has parts of different versions; remove the other cuDNN from LD_LIBRARY_PATH");
  library.handle = handle, library.version = static_cast<int>(*version), library.folder = *folder;
  library.no_compiler = load_compiler(search, *folder, cublaslt.folder);
  return library;
}

const Library& cublaslt_library() {
  static const Library library = load_cublaslt(default_search("RESNET_ENGINE_CUBLASLT"));
  return library;
}

const CudnnLibrary& cudnn_library() {
  static const CudnnLibrary library = load_cudnn(default_search("RESNET_ENGINE_CUDNN"), cublaslt_library());
  return library;
}

}  // namespace resnet::cuda
