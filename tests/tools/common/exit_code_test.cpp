#include "common/exit_code.hpp"

#include <gtest/gtest.h>

namespace resnet::tools {
namespace {

TEST(ExitCode, IsTheLargerOfTwoCauses) {
  EXPECT_EQ(worse(ExitCode::ok, ExitCode::input_failed), ExitCode::input_failed);
  EXPECT_EQ(worse(ExitCode::device, ExitCode::input_failed), ExitCode::device);
  EXPECT_EQ(worse(ExitCode::device, ExitCode::interrupted), ExitCode::interrupted);
}

TEST(ExitCode, TellsAPictureAModelTheMemoryAndTheDeviceApart) {
  EXPECT_EQ(static_cast<int>(exit_code_of(ErrorCode::image_corrupt)), 1);
  EXPECT_EQ(static_cast<int>(exit_code_of(ErrorCode::invalid_argument)), 2);
  EXPECT_EQ(static_cast<int>(exit_code_of(ErrorCode::io)), 3);
  EXPECT_EQ(static_cast<int>(exit_code_of(ErrorCode::bad_geometry)), 3);
  EXPECT_EQ(static_cast<int>(exit_code_of(ErrorCode::import_failed)), 3);
  EXPECT_EQ(static_cast<int>(exit_code_of(ErrorCode::out_of_memory)), 4);
  EXPECT_EQ(static_cast<int>(exit_code_of(ErrorCode::device_unavailable)), 5);
}

TEST(ExitCode, IsNeverOkForAnError) {
  for (int code = static_cast<int>(ErrorCode::invalid_argument); code <= static_cast<int>(ErrorCode::internal);
       ++code) {
    const int exit_code = static_cast<int>(exit_code_of(static_cast<ErrorCode>(code)));
    EXPECT_TRUE(exit_code >= 1 && exit_code <= 5) << to_string(static_cast<ErrorCode>(code));
  }
}

}  // namespace
}  // namespace resnet::tools
