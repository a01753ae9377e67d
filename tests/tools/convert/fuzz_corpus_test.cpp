// What the fuzzers start from and what they found, replayed: every input gives a model or an Error. Whole files of the
// frameworks must be accepted, or the calls test nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "convert/importers/importer.hpp"
#include "fuzz/import_fuzz.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

/// Runs `call` on every file of a folder below tests/ and returns how many were accepted.
template <class Call>
int replay(const std::string& folder, Call call) {
  int accepted = 0;
  const std::filesystem::path path = RESNET_SOURCE_DIR "/tests/" + folder;
  if (!std::filesystem::exists(path)) return 0;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.is_regular_file() && call(read_text(entry.path().string()))) ++accepted;
  }
  return accepted;
}

TEST(FuzzCorpus, Zip) {
  const auto call = [](const std::string& text) { return fuzz::read_as(torch_zip_importer, to_bytes(text)); };
  replay("fuzz/corpus/zip", call);
  EXPECT_GE(replay("golden/torch", call), 2);
}

TEST(FuzzCorpus, Tar) {
  const auto call = [](const std::string& text) { return fuzz::read_as(torch_tar_importer, to_bytes(text)); };
  replay("fuzz/corpus/tar", call);
  EXPECT_GE(replay("golden/torch", call), 1);
}

TEST(FuzzCorpus, Pickle) {
  replay("fuzz/corpus/pickle", [](const std::string& text) { return fuzz::read_pickle_bytes(to_bytes(text)); });
}

TEST(FuzzCorpus, Safetensors) {
  const auto call = [](const std::string& text) { return fuzz::read_as(safetensors_importer, to_bytes(text)); };
  EXPECT_GE(replay("fuzz/corpus/safetensors", call), 1);
}

TEST(FuzzCorpus, KerasJson) {
  const auto call = [](const std::string& text) { return fuzz::read_keras_json(text); };
  EXPECT_GE(replay("fuzz/corpus/keras_json", call), 1);
  EXPECT_GE(replay("golden/keras", call), 6);
}

TEST(FuzzCorpus, Hdf5) {
  const auto call = [](const std::string& text) { return fuzz::read_limited(keras_h5_importer, to_bytes(text)); };
  replay("golden/keras/hostile", call);  // fuzz/corpus/hdf5 has its own test: keras_hostile_test.cpp
  EXPECT_GE(replay("golden/keras", call), 5);
}

TEST(FuzzCorpus, KerasZip) {
  const auto call = [](const std::string& text) { return fuzz::read_limited(keras_zip_importer, to_bytes(text)); };
  replay("fuzz/corpus/keras_zip", call);
  EXPECT_GE(replay("golden/keras", call), 6);
}

TEST(Truncation, OfAGoldenFileAtEverySixtyFourthIsRefused) {
  int files = 0;
  std::vector<std::string> folders = {"torch", "timm", "huggingface/basic", "tutorials"};
#ifdef RESNET_ONNX_READABLE
  folders.emplace_back("onnx");
#endif
  for (const std::string& folder : folders) {
    for (const auto& entry : std::filesystem::directory_iterator(RESNET_SOURCE_DIR "/tests/golden/" + folder)) {
      const std::string kind = entry.path().extension().string();
      if (kind != ".pth" && kind != ".safetensors" && kind != ".onnx") continue;
      if (entry.path().filename() == "old.pth") continue;  // a tar file ends in zeros that nobody needs
      const std::string whole = read_text(entry.path().string());
      EXPECT_TRUE(fuzz::read_file(to_bytes(whole)) || entry.path().stem() == "external") << entry.path();
      ++files;
      for (std::size_t part = 0; part < 64; ++part) {
        const auto begin = std::string_view(whole).substr(0, whole.size() * part / 64);
        EXPECT_FALSE(fuzz::read_file(to_bytes(begin))) << entry.path() << " at " << part << " of 64";
      }
    }
  }
  EXPECT_GE(files, 20);
}

}  // namespace
}  // namespace resnet::convert
