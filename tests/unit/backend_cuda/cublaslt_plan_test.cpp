// Dense layers through the installed cuBLASLt, as far as it works without a device.
#include "backends/cuda/cublaslt_plan.hpp"

#include <gtest/gtest.h>

#include "backends/cuda/libraries.hpp"
#include "resnet_engine/error.hpp"

namespace resnet::cuda {
namespace {

TEST(CublasltPlan, SaysThatAHandleWantsADevice) {
  if (!cublaslt_library()) GTEST_SKIP() << cublaslt_library().missing;
  try {
    const CublasltHandle handle;
    GTEST_SKIP() << "this machine has a GPU";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported) << "our kernels may do without it";
    const std::string text = error.what();
    for (const char* word : {"cuBLASLt 1", "creating a handle failed", "RESNET_ENGINE_CUBLASLT=off"})
      EXPECT_NE(text.find(word), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace resnet::cuda
