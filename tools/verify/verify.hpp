#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "verify/difference.hpp"
#include "verify/options.hpp"

namespace resnet::tools {

struct Verification {
  struct Value {
    std::string name;
    Difference difference;
  };
  std::string device, against;  ///< what computed and what it was compared with
  std::int64_t images = 0, height = 0, width = 0, channels = 0;
  std::vector<Value> layers;  ///< in the order of the steps
  Value output{"output", {}};
  std::int64_t same_class = 0;  ///< images whose largest output has the expected index
  /// The first value past the tolerance, the output included under the name "output"; null where there is none.
  const Value* first_past(double tolerance) const;
};

/// @throws Error from the library; io, bad_header, bad_dtype, tensor_shape for arrays that do not fit
Verification verify(const VerifyOptions& options);

}  // namespace resnet::tools
