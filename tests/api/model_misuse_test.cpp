#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "resnet_engine/image.hpp"
#include "resnet_engine/model.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_model.hpp"

namespace resnet::test {
namespace {

std::optional<ErrorCode> load_refusal(const std::string& path) {
  try {
    Model::load(path);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    return error.code();
  }
  return std::nullopt;
}

TEST(ModelMisuse, AMissingFileADirectoryAndAnEmptyFileAreTold) {
  const ScratchFolder folder;
  write_text(folder / "empty.rne", "");
  EXPECT_EQ(load_refusal(folder / "none.rne"), ErrorCode::io);
  EXPECT_EQ(load_refusal(folder.path()), ErrorCode::io);
  EXPECT_EQ(load_refusal(folder / "empty.rne"), ErrorCode::truncated);
}

TEST(ModelMisuse, APictureIsNoModel) {
  const ScratchFolder folder;
  write_text(folder / "red.bmp", bmp(8, 8, {255, 0, 0}));
  EXPECT_TRUE(load_refusal(folder / "red.bmp"));
}

TEST(ModelMisuse, APreprocessThatIsDamagedOrForOtherChannelsNamesTheFile) {
  const ScratchFolder folder;
  const std::string path = folder / "tiny.rne";
  const auto load = [&](const std::string& json) {
    write_tiny_model(path, {.preprocess_json = json});
    return load_refusal(path);
  };
  const std::string gray = Preprocess::preset("gray-small").to_json();
  EXPECT_EQ(load(Preprocess::preset("raw01").to_json()), std::nullopt);
  EXPECT_EQ(load(gray), ErrorCode::bad_attribute);
  EXPECT_EQ(load(R"({"color":"rgb"})"), ErrorCode::bad_attribute);
  write_tiny_model(path, {.preprocess_json = gray});
  try {
    Model::load(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), path + ": preprocess.color");
    EXPECT_EQ(error.message(), "pictures become 1 channel, but the network takes 3");
  }
}

TEST(ModelMisuse, AMovedFromModelStillHasItsState) {
  const ScratchFolder folder;
  write_tiny_model(folder / "tiny.rne");
  Model model = Model::load(folder / "tiny.rne");
  const Model other = std::move(model);
  // NOLINTNEXTLINE(bugprone-use-after-move): that is the point
  EXPECT_EQ(model.output_size(), 4);
  EXPECT_EQ(other.labels().at(1), "green");
}

TEST(ModelMisuse, AFileThatIsRemovedAfterLoadingStaysReadable) {
  std::optional<Model> model;
  {
    const ScratchFolder folder;
    write_tiny_model(folder / "tiny.rne");
    model.emplace(Model::load(folder / "tiny.rne"));
  }
  EXPECT_EQ(model->input_size().height, 8);
  EXPECT_FALSE(model->describe_json().empty());
}

TEST(Errors, SayWhereWhatAndWhatNext) {
  const Error error(ErrorCode::io, "cannot open", "a.rne", "check the path");
  EXPECT_STREQ(error.what(), "a.rne: cannot open; check the path");
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_STREQ(Error(ErrorCode::io, "cannot open").what(), "cannot open");
  EXPECT_EQ(to_string(ErrorCode::bad_offsets), "bad_offsets");
}

}  // namespace
}  // namespace resnet::test
