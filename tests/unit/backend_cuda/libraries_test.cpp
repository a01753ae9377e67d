// Loading cuDNN and cuBLASLt from folders of small libraries that report what a test needs.
#include "backends/cuda/libraries.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "support/scratch_folder.hpp"

namespace resnet::cuda {
namespace {

/// A folder with an installation of cuDNN 9 and cuBLASLt 13 that a test damages.
class CudaLibraries : public testing::Test {
 protected:
  void SetUp() override {
    put("cublaslt_13", "libcublasLt.so.13");
    for (const char* part : {"graph", "heuristic", "engines_precompiled", "engines_runtime_compiled"})
      put("empty", std::string("libcudnn_") + part + ".so.9");
    put("cudnn_good", "libcudnn.so.9");
    put("empty", "libnvrtc.so.13");
    put("empty", "libnvrtc-builtins.so.13.0");
  }
  /// Each copy is a library of its own: the loader knows files, not contents.
  void put(const std::string& fake, const std::string& name) {
    remove(name);  // what is loaded must not change
    std::filesystem::copy_file(std::string(FAKE_FOLDER "/") + fake + ".so", folder_ / name);
  }
  void remove(const std::string& name) { std::filesystem::remove(folder_ / name); }
  LibrarySearch here() const {
    LibrarySearch search;
    search.forced = folder_.path();
    return search;
  }
  CudnnLibrary cudnn() const { return load_cudnn(here(), load_cublaslt(here())); }
  /// The refusal says all of `words`.
  static void expect_refusal(const Library& library, std::initializer_list<std::string> words) {
    EXPECT_FALSE(library);
    EXPECT_EQ(library.version, 0);
    for (const std::string& word : words)
      EXPECT_NE(library.missing.find(word), std::string::npos) << "no '" << word << "' in: " << library.missing;
  }

  test::ScratchFolder folder_;
};

TEST_F(CudaLibraries, LoadsACompleteInstallation) {
  const Library cublaslt = load_cublaslt(here());
  EXPECT_EQ(cublaslt.missing, "");
  EXPECT_EQ(cublaslt.version, 130100);
  EXPECT_EQ(cublaslt.folder, folder_.path());
  const CudnnLibrary library = load_cudnn(here(), cublaslt);
  EXPECT_EQ(library.missing, "");
  EXPECT_EQ(library.no_compiler, "");
  EXPECT_EQ(library.version, 91900);
  EXPECT_EQ(library_version_text(library.version), "9.19.0");
}

TEST_F(CudaLibraries, FindsThemInAFolderOfTheList) {
  test::ScratchFolder empty;
  LibrarySearch search;
  search.loader = false;
  search.folders = {empty.path(), folder_.path()};
  EXPECT_EQ(load_cudnn(search, load_cublaslt(search)).folder, folder_.path());
}

TEST_F(CudaLibraries, SayWhereTheyLookedAndWhatToInstall) {
  remove("libcudnn.so.9");
  expect_refusal(cudnn(), {"cuDNN 9 was not found", folder_.path(), "pip install nvidia-cudnn-cu13",
                           "set RESNET_ENGINE_CUDNN to the folder of libcudnn.so.9"});
  remove("libcublasLt.so.13");
  expect_refusal(load_cublaslt(here()), {"no libcublasLt.so.13 in " + folder_.path(), "RESNET_ENGINE_CUBLASLT"});
  LibrarySearch search;
  search.loader = false;
  search.folders = {folder_.path(), "/nowhere"};
  expect_refusal(load_cublaslt(search), {folder_.path() + ", /nowhere"});
}

TEST_F(CudaLibraries, NameAnotherMajorVersion) {
  std::filesystem::rename(folder_ / "libcudnn.so.9", folder_ / "libcudnn.so.8");
  expect_refusal(cudnn(), {folder_ / "libcudnn.so.8", "another major version", "needs libcudnn.so.9"});
  put("cudnn_10", "libcudnn.so.9");
  expect_refusal(cudnn(), {"cuDNN 10.1.0 in " + folder_.path(), "needs 9"});
  std::filesystem::rename(folder_ / "libcublasLt.so.13", folder_ / "libcublasLt.so.12");
  expect_refusal(load_cublaslt(here()), {folder_ / "libcublasLt.so.12", "needs libcublasLt.so.13"});
}

TEST_F(CudaLibraries, RefuseWhatIsTooOld) {
  put("cudnn_old", "libcudnn.so.9");
  expect_refusal(cudnn(), {"cuDNN 9.10.0", "too old", "9.19.0 or newer"});
}

TEST_F(CudaLibraries, RefuseWhatIsBuiltForAnotherCuda) {
  put("cudnn_cuda12", "libcudnn.so.9");
  expect_refusal(cudnn(), {"cuDNN 9.28.0", "built for CUDA 12, this program for CUDA 13", "nvidia-cudnn-cu13"});
}

TEST_F(CudaLibraries, RefuseCublasltOfAnotherCuda) {
  put("cublaslt_12", "libcublasLt.so.13");
  expect_refusal(load_cublaslt(here()), {"cuBLASLt 12.9.0", "needs 13.x"});
}

// cuDNN itself would end the process.
TEST_F(CudaLibraries, RefuseAnInstallationWithoutOneOfItsParts) {
  remove("libcudnn_graph.so.9");
  expect_refusal(cudnn(), {"incomplete", "libcudnn_graph.so.9", "install it again"});
}

TEST_F(CudaLibraries, RefuseAPartThatDoesNotLoad) {
  put("broken", "libcudnn_heuristic.so.9");
  expect_refusal(cudnn(), {"incomplete", "a_function_that_nobody_has"});
}

TEST_F(CudaLibraries, RefuseALibraryWithoutTheFunctions) {
  put("empty", "libcudnn.so.9");
  expect_refusal(cudnn(), {folder_ / "libcudnn.so.9", "has no cudnnGetVersion", "install it again"});
}

TEST_F(CudaLibraries, RefuseCublasltWithoutItsFunctions) {
  put("empty", "libcublasLt.so.13");
  expect_refusal(load_cublaslt(here()), {"has no cublasLtGetVersion"});
}

TEST_F(CudaLibraries, RefusePartsOfDifferentVersions) {
  put("cudnn_mixed", "libcudnn.so.9");
  expect_refusal(cudnn(), {"parts of different versions", "LD_LIBRARY_PATH"});
}

// Its pre-compiled engines are built on cuBLASLt, and it ends the process where that is missing.
TEST_F(CudaLibraries, RefuseCudnnWithoutCublaslt) {
  remove("libcublasLt.so.13");
  expect_refusal(cudnn(), {"cuDNN needs cuBLASLt", "libcublasLt.so.13"});
}

TEST_F(CudaLibraries, UseCudnnWithoutACompiler) {
  remove("libnvrtc-builtins.so.13.0");
  const CudnnLibrary library = cudnn();
  EXPECT_TRUE(library) << library.missing;
  EXPECT_NE(library.no_compiler.find("libnvrtc-builtins"), std::string::npos) << library.no_compiler;
}

TEST_F(CudaLibraries, AreSwitchedOffByTheEnvironment) {
  setenv("RESNET_ENGINE_CUDNN", "off", 1);
  setenv("RESNET_ENGINE_CUBLASLT", folder_.path().c_str(), 1);
  EXPECT_EQ(default_search("RESNET_ENGINE_CUBLASLT").forced, folder_.path());
  expect_refusal(load_cudnn(default_search("RESNET_ENGINE_CUDNN"), load_cublaslt(here())),
                 {"switched off by RESNET_ENGINE_CUDNN"});
  // The process's own are loaded once, by whichever thread asks first.
  const CudnnLibrary* seen = nullptr;
  std::thread other([&] { seen = &cudnn_library(); });
  const CudnnLibrary& mine = cudnn_library();
  other.join();
  EXPECT_EQ(seen, &mine);
  DeviceInfo device;
  describe_libraries(device);
  EXPECT_EQ(device.cudnn.version, 0);
  EXPECT_EQ(device.cudnn.missing, mine.missing);
  EXPECT_EQ(device.cublaslt.missing, cublaslt_library().missing);
  EXPECT_NE(libraries_text(device).find("no cuDNN (" + mine.missing + ')'), std::string::npos)
      << libraries_text(device);
  device.cudnn = {91900, {}}, device.cublaslt = {130100, {}};
  device.cudnn_no_compiler.clear();
  EXPECT_EQ(libraries_text(device), "cuDNN 9.19.0, cuBLASLt 13.1.0");
  device.cudnn_no_compiler = "no NVRTC";
  EXPECT_EQ(libraries_text(device), "cuDNN 9.19.0 without engines that it compiles (no NVRTC), cuBLASLt 13.1.0");
  unsetenv("RESNET_ENGINE_CUDNN");
  unsetenv("RESNET_ENGINE_CUBLASLT");
}

TEST_F(CudaLibraries, AreFoundInAPythonEnvironment) {
  const std::string lib = folder_ / "venv/lib/python3.11/site-packages/nvidia/cudnn/lib";
  std::filesystem::create_directories(lib);
  setenv("VIRTUAL_ENV", (folder_ / "venv").c_str(), 1);
  const LibrarySearch search = default_search("RESNET_ENGINE_NOTHING");
  unsetenv("VIRTUAL_ENV");
  EXPECT_EQ(search.folders.back(), lib);
  EXPECT_TRUE(search.loader);
}

}  // namespace
}  // namespace resnet::cuda
