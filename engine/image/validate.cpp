#include "image/validate.hpp"

#include <charconv>
#include <cmath>
#include <string>

#include "image/limits.hpp"

namespace resnet {
namespace {

/// The shortest digits that read back to the same number: 1e+300, not 301 digits.
std::string number_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

class Checker {
 public:
  explicit Checker(ErrorCode code) : code_(code) {}

  void side(std::int64_t value, const char* field) const {
    if (value < 1 || value > max_image_side) {
      bad(field, std::to_string(value) + " is out of range", "use 1 to " + std::to_string(max_image_side));
    }
  }

  void per_channel(const std::vector<double>& values, std::size_t channels, bool positive, const char* field) const {
    if (!values.empty() && values.size() != channels) {
      bad(field, std::to_string(values.size()) + " values for " + std::to_string(channels) + " channels",
          "give one value per channel, or none");
    }
    for (const double value : values) {
      // As float32, because that is what the arithmetic uses: 1e-60 would divide by zero.
      const float rounded = static_cast<float>(value);
      if (!std::isfinite(rounded) || (positive && !(rounded > 0))) {
        bad(field, number_text(value) + " is out of range",
            positive ? "use finite values above 0" : "use finite values");
      }
    }
  }

  [[noreturn]] void bad(const char* field, std::string message, std::string next) const {
    fail(code_, std::move(message), std::string("preprocess.") + field, std::move(next));
  }

 private:
  ErrorCode code_;
};

}  // namespace

void validate_preprocess(const Preprocess& preprocess, ErrorCode code) {
  const Checker check(code);
  if (preprocess.resize != ResizeMode::none) {
    check.side(preprocess.resize_h, "size");
    check.side(preprocess.resize_w, "size");
  }
  if (preprocess.crop) {
    check.side(preprocess.crop_h, "crop");
    check.side(preprocess.crop_w, "crop");
  }
  if (!std::isfinite(static_cast<float>(255 * preprocess.scale)) || preprocess.scale == 0) {
    check.bad("scale", number_text(preprocess.scale) + " is out of range", "use a finite factor other than 0");
  }
  const auto channels = static_cast<std::size_t>(preprocess.channels());
  check.per_channel(preprocess.mean, channels, false, "mean");
  check.per_channel(preprocess.std, channels, true, "std");
}

}  // namespace resnet
