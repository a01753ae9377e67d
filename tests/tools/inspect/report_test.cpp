#include "inspect/report.hpp"

#include <gtest/gtest.h>

namespace resnet::tools {
namespace {

/// The text for a model without layers whose plan has this hint, as JSON.
std::string text_with_hint(const std::string& hint) {
  const std::string model =
      R"({"format_version": 1, "input": {"height": 8, "width": 8, "channels": 3}, "output_size": 4, "labels": 0,
          "parameters": {"total": 1, "trainable": 1, "non_trainable": 0}, "macs": 1, "layers": [], "preprocess": null,
          "provenance": {}})";
  const std::string session = R"({"device": "cpu", "device_reason": "requested", "precision": "fp32", "threads": 2,
                                  "input": [1, 8, 8, 3], "steps": [], "precision_hint": )" +
                              hint + R"(, "memory": {"arena_bytes": 0, "live_lower_bound_bytes": 0}})";
  return inspection_text("m.rne", inspection(model, session), false);
}

TEST(InspectionText, HasALineForAFasterPrecision) {
  EXPECT_NE(text_with_hint("\"bf16 is faster\"").find("fp32, 2 threads\nHint: bf16 is faster\n"), std::string::npos);
  EXPECT_EQ(text_with_hint("null").find("Hint"), std::string::npos);
}

}  // namespace
}  // namespace resnet::tools
