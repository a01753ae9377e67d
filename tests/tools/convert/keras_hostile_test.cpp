// Keras files that must be refused, and damaged ones. libhdf5 itself crashes on some of them: everything runs as in the
// tool, in the limited child.
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "convert/child.hpp"
#include "convert/convert.hpp"
#include "convert/importers/keras_model.hpp"
#include "convert/sandbox.hpp"
#include "support/error_of.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"
#include "tools/convert/golden_check.hpp"
#include "tools/convert/mutate.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

/// What the tool does with a file of these bytes.
ChildResult convert_limited(std::string_view bytes) {
  const SourceFile file = SourceFile::from_bytes(to_bytes(bytes), "weights");
  return run_limited(
      [&] {
        Converted converted = convert_source(file, Request());
        return ChildOutput{converted.report.dump(), std::move(converted.model)};
      },
      limits_for(file.size()), {}, "weights");
}

std::string refusal(std::string_view bytes) {
  const Error error = error_of([&] { convert_limited(bytes); });
  EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
  return error.what();
}

std::vector<std::string> whole_files() {
  std::vector<std::string> files;
  for (const char* version : {"keras3", "tfkeras", "keras213"}) {
    for (const char* rest : {".plain.keras", ".plain.h5", ".features.keras"})
      files.push_back(read_text(golden_path(std::string("keras/") + version + rest)));
  }
  return files;
}

TEST(KerasHostile, EveryFileIsRefusedForItsReason) {
  std::istringstream lines(read_text(golden_path("keras/hostile/expected.txt")));
  int files = 0;
  for (std::string line; std::getline(lines, line); ++files) {
    const std::size_t tab = line.find('\t');
    const std::string name = line.substr(0, tab), reason = line.substr(tab + 1);
    const std::string message = refusal(read_text(golden_path("keras/hostile/" + name)));
    EXPECT_NE(message.find(reason), std::string::npos) << name << ": " << message;
  }
  EXPECT_EQ(files, 44);
}

/// What the name says with one bit of it flipped, wherever the file has it.
std::string with_damaged_name(std::string bytes, const std::string& name) {
  const std::size_t at = bytes.find(name);
  EXPECT_NE(at, std::string::npos) << name;
  if (at != std::string::npos) bytes[at] = static_cast<char>(bytes[at] ^ 1);
  return bytes;
}

TEST(KerasHostile, AWholeModelThatLostItsArchitectureIsNotTakenForAnotherNetwork) {
  for (const char* version : {"keras3", "tfkeras", "keras213"}) {
    const std::string bytes = read_text(golden_path(std::string("keras/") + version + ".plain.h5"));
    const std::string message = refusal(with_damaged_name(bytes, "model_config"));
    EXPECT_NE(message.find("no architecture; add --arch"), std::string::npos) << message;
  }
}

TEST(KerasHostile, AHardSigmoidOfAnUnknownKerasIsNotGuessed) {
  for (const char* name : {"tfkeras.features.h5", "keras213.features.h5"}) {
    const std::string bytes = read_text(golden_path(std::string("keras/") + name));
    const std::string message = refusal(with_damaged_name(bytes, "keras_version"));
    EXPECT_NE(message.find("hard_sigmoid, which Keras 2 and 3 compute differently"), std::string::npos) << message;
  }
}

/// A fork costs tens of milliseconds under a sanitizer.
std::size_t step() { return sandbox_is_weakened_by_sanitizer() ? 8 : 1; }

TEST(KerasHostile, EveryTruncationIsRefused) {
  for (const std::string& bytes : whole_files()) {
    for (std::size_t part = 0; part < 64; part += step())
      EXPECT_FALSE(refusal(std::string_view(bytes).substr(0, bytes.size() * part / 64)).empty()) << part;
  }
}

TEST(KerasHostile, DamageGivesAModelOrAnError) {
  std::mt19937 random(2);
  int accepted = 0, refused = 0;
  for (const std::string& file : whole_files()) {
    for (std::size_t i = 0; i < 30; i += step()) {
      std::string bytes = file;
      mutate(bytes, random);
      try {
        convert_limited(bytes);
        ++accepted;
      } catch (const Error& error) {
        EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(accepted, 0);  // otherwise the damage is too coarse to test anything
  EXPECT_GT(refused, 10);
}

/// The fuzzer found it: libhdf5 would go round in circles.
TEST(KerasHostile, TextsThatTheLibraryWouldWalkForEverAreRefusedAtOnce) {
  const std::string message = refusal(read_text(RESNET_SOURCE_DIR "/tests/fuzz/corpus/hdf5/stalls.h5"));
  EXPECT_NE(message.find("@model_config: the attribute is damaged"), std::string::npos) << message;
}

std::string nested(int depth) {
  std::string json = R"({"class_name":"InputLayer","config":{"name":"i","batch_shape":[null,8,8,3]}})";
  for (int i = 0; i < depth; ++i) json = R"({"class_name":"Sequential","config":{"name":"m","layers":[)" + json + "]}}";
  return json;
}

TEST(KerasHostile, NestingIsBounded) {
  EXPECT_NO_THROW(parse_keras_model(nested(8), "model.json"));
  EXPECT_EQ(error_of([] { parse_keras_model(nested(12), "model.json"); }).code(), ErrorCode::limit_exceeded);
  EXPECT_EQ(error_of([] { parse_keras_model(nested(10'000), "model.json"); }).code(), ErrorCode::limit_exceeded);
}

TEST(KerasHostile, ALongChainIsReadAndALongerOneRefused) {
  const auto chain = [](int length) {
    std::string json = R"({"class_name":"Sequential","config":{"name":"m","build_input_shape":[null,8,8,3],"layers":[)";
    for (int i = 0; i < length; ++i)
      json += (i > 0 ? "," : "") +
              (R"({"class_name":"ReLU","config":{"name":"r)" + std::to_string(i) + R"(","max_value":null}})");
    return json + "]}}";
  };
  EXPECT_EQ(parse_keras_model(chain(10'000), "model.json").layers.size(), 10'001u);
  EXPECT_EQ(error_of([&] { parse_keras_model(chain(25'000), "model.json"); }).code(), ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace resnet::convert
