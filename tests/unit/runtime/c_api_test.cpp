#include <gtest/gtest.h>

#include <cstdlib>

#include "model/model_file.hpp"
#include "support/random_model.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"

namespace resnet {
namespace {

TEST(CApi, AProgramInCSeesTheDocumentedStatuses) {
  const test::ScratchFolder directory;
  test::write_bytes(directory / "net.rne", test::random_model(test::torchvision_resnet("resnet18", 64, 10), 1));
  const std::string command = std::string(C_API_PROGRAM) + " " + directory / "net.rne";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace resnet
