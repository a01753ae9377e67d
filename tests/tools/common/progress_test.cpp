#include "common/progress.hpp"

#include <gtest/gtest.h>

namespace resnet::tools {
namespace {

TEST(ProgressLine, ShowsCountRateAndRest) {
  EXPECT_EQ(progress_line(500, 1000, 5), "[===============>              ]   500/1000  100.0/s  5 s left");
}

TEST(ProgressLine, IsFullAtTheEndAndHasNoRateAtTheStart) {
  EXPECT_EQ(progress_line(10, 10, 2), "[==============================]  10/10  5.0/s  0 s left");
  EXPECT_EQ(progress_line(0, 10, 2), "[>                             ]   0/10");
}

TEST(Progress, PrintsNothingWithoutATerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress(10, false);
    progress.update(5);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace resnet::tools
