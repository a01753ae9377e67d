#include "common/session_choice.hpp"

#include <gtest/gtest.h>

#include "common/tool_error.hpp"

namespace resnet::tools {
namespace {

TEST(SessionChoice, KnowsEveryPrecisionByItsName) {
  for (const auto precision :
       {Precision::fp32, Precision::tf32, Precision::fp16, Precision::bf16, Precision::int8, Precision::fp8}) {
    EXPECT_EQ(parse_precision(to_string(precision)), precision);
  }
  EXPECT_THROW(parse_precision("float"), UsageError);
}

TEST(SessionChoice, ChecksTheFormOfADeviceName) {
  for (const char* name : {"auto", "cpu", "cuda", "cuda:0", "cuda:15", "reference"})
    EXPECT_NO_THROW(check_device_name(name)) << name;
  for (const char* name :
       {"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cpu:0", "CUDA", "cuda:99999999999999999999"}) {
    EXPECT_THROW(check_device_name(name), UsageError) << name;
  }
}

TEST(SessionChoice, SaysOfEveryDeviceWhatItIsOrWhyItCannotBeUsed) {
  const DeviceReport devices[] = {{"cuda:0", "Some GPU", "sm_90", true, ""},
                                  {"cuda:1", "Old GPU", "sm_70", false, "the kernels need sm_75"},
                                  {"cuda", "", "", false, "no driver"},
                                  {"cpu", "Some CPU", "4 cores", true, ""}};
  EXPECT_EQ(device_table(devices),
            "cuda:0  Some GPU, sm_90\n"
            "cuda:1  Old GPU, sm_70; not available: the kernels need sm_75\n"
            "cuda    not available: no driver\n"
            "cpu     Some CPU, 4 cores");
  EXPECT_EQ(device_table({}), "");
}

TEST(SessionChoice, ReadsHeightBeforeWidth) {
  EXPECT_EQ(parse_size("224x320").height, 224);
  EXPECT_EQ(parse_size("224x320").width, 320);
  EXPECT_EQ(parse_size("224X320").width, 320);
  EXPECT_EQ(parse_size("1x16384").width, 16'384);
  for (const char* text :
       {"224", "x224", "224x", "0x224", "224x-1", "224x224x3", "224xX3", "16385x1", "99999999x1", " 1x1"}) {
    EXPECT_THROW(parse_size(text), UsageError) << text;
  }
}

}  // namespace
}  // namespace resnet::tools
