#include "support/resnet_graphs.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace resnet::test {
namespace {

TEST(ResnetGraphs, HaveTorchvisionsNumberOfParameters) {
  // torchvision's documented "num_params" of each weight set
  const std::map<std::string_view, std::int64_t> documented{
      {"resnet18", 11689512},         {"resnet34", 21797672},         {"resnet50", 25557032},
      {"resnet101", 44549160},        {"resnet152", 60192808},        {"resnext50_32x4d", 25028904},
      {"resnext101_32x8d", 88791336}, {"resnext101_64x4d", 83455272}, {"wide_resnet50_2", 68883240},
      {"wide_resnet101_2", 126886696}};
  ASSERT_EQ(torchvision_resnets().size(), documented.size());
  for (const auto name : torchvision_resnets()) {
    std::int64_t trainable = 0;
    for (const auto& [tensor, info] : torchvision_resnet(name).tensors) {
      if (tensor.find("running_") != std::string::npos) continue;
      std::int64_t elements = 1;
      for (const auto extent : info.shape) elements *= extent;
      trainable += elements;
    }
    EXPECT_EQ(trainable, documented.at(name)) << name;
  }
}

TEST(ResnetGraphs, NameEveryLayerOnce) {
  for (const auto name : torchvision_resnets()) {
    std::set<std::string> names;
    for (const auto& layer : torchvision_resnet(name).layers)
      EXPECT_TRUE(names.insert(layer.name).second) << layer.name;
  }
}

TEST(ResnetGraphs, RefuseAnUnknownName) { EXPECT_THROW(torchvision_resnet("resnet19"), std::out_of_range); }

}  // namespace
}  // namespace resnet::test
