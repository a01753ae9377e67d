#include <gtest/gtest.h>

#include <cstdlib>
#include <span>
#include <string>

#include "model/model_file.hpp"
#include "support/random_model.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_model.hpp"
#include "support/write_bytes.hpp"

namespace resnet {
namespace {

TEST(CApi, AProgramInCSeesTheDocumentedStatuses) {
  const test::ScratchFolder directory;
  test::write_bytes(directory / "net.rne", test::random_model(test::torchvision_resnet("resnet18", 64, 10), 1));
  test::write_tiny_model(directory / "colours.rne");
  const std::string picture = test::bmp(8, 8, {200, 30, 7});
  test::write_bytes(directory / "picture.bmp", std::as_bytes(std::span(picture)));
  const std::string command = std::string(C_API_PROGRAM) + " " + directory / "net.rne" + " " +
                              directory / "colours.rne" + " " + directory / "picture.bmp";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace resnet
