#pragma once

#include <string>
#include <utility>

namespace resnet {

/// Whether an implementation takes a problem, and why not: a refusal is data that describe() prints.
struct Support {
  bool ok = true;
  std::string reason;

  static Support yes() { return {}; }
  static Support no(std::string why) { return {false, std::move(why)}; }
  explicit operator bool() const noexcept { return ok; }
};

}  // namespace resnet
