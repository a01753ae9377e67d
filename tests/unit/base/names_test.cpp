#include "base/names.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace resnet {
namespace {

const std::vector<std::string> layers{"input",         "conv1",        "layer1.0.conv1", "layer1.0.relu",
                                      "layer4.0.relu", "layer4.2.bn1", "layer4.2.relu",  "avgpool"};

TEST(NearestName, IsTheSmallestEditDistanceTheFirstAmongEquals) {
  EXPECT_EQ(nearest_name("layer1.0.comv1", layers), "layer1.0.conv1");
  EXPECT_EQ(nearest_name("xvgpool", layers), "avgpool");
  EXPECT_EQ(nearest_name("c", std::vector<std::string>{"a", "b"}), "a");
  EXPECT_EQ(nearest_name("a", {}), "");
}

TEST(NearestName, OfABlockIsItsLastLayer) {
  EXPECT_EQ(nearest_name("layer4", layers), "layer4.2.relu");
  EXPECT_EQ(nearest_name("layer1", layers), "layer1.0.relu");
  EXPECT_EQ(nearest_name("layer4.0", layers), "layer4.0.relu");
}

TEST(NearestName, PrefersWhatBeginsWithTheName) {
  EXPECT_EQ(nearest_name("avg", std::vector<std::string>{"add", "avgpool"}), "avgpool");
  EXPECT_EQ(nearest_name("layer4.2.b", layers), "layer4.2.bn1");
}

}  // namespace
}  // namespace resnet
