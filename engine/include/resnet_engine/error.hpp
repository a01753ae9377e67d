#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "resnet_engine/export.hpp"

namespace resnet {

/// What went wrong, as a number that programs can branch on. Values are stable across releases.
enum class ErrorCode : int {
  invalid_argument = 1,     ///< a caller passed something the documentation forbids
  busy = 2,                 ///< a Session was used from two threads at once
  io = 3,                   ///< a file cannot be opened, read or written
  file_changed = 4,         ///< a file changed or shrank while it was read
  truncated = 5,            ///< a file ends before its header says so
  trailing_bytes = 6,       ///< a file goes on after its header says that it ends
  bad_header = 7,           ///< the header is no UTF-8 JSON object, has duplicate keys or a wrong type
  limit_exceeded = 8,       ///< a documented limit (header size, JSON depth, values, pixels ...) is exceeded
  overflow = 9,             ///< a size does not fit into 64 bits
  bad_offsets = 10,         ///< tensor offsets overlap, leave holes or are out of order
  bad_dtype = 11,           ///< a tensor has an unknown or unsuitable element type
  checksum = 12,            ///< a tensor's bytes do not match their CRC32C
  future_version = 13,      ///< the file was written by a newer format version
  nonfinite_weight = 14,    ///< a weight is NaN or infinite
  bad_batch_norm = 15,      ///< running_var is negative, or running_var + eps <= 0
  missing_tensor = 16,      ///< a layer names a tensor that the file does not hold
  unused_tensor = 17,       ///< the file holds a tensor that no layer names
  tensor_shape = 18,        ///< a tensor's shape does not fit its layer
  unknown_layer = 19,       ///< a layer's op is not in the op table
  bad_attribute = 20,       ///< a layer's attribute is missing, unknown, of the wrong type or out of range
  bad_graph = 21,           ///< cycle, undefined or duplicate name, wrong number of inputs, no output
  bad_geometry = 22,        ///< shapes between layers do not fit (channels, kernel larger than padded input ...)
  image_unsupported = 23,   ///< a picture format or variant that is not decoded
  image_corrupt = 24,       ///< a picture is damaged or truncated
  image_limit = 25,         ///< a picture is larger than the documented limits
  unsupported = 26,         ///< a valid request that this build, device or version cannot serve
  out_of_memory = 27,       ///< host or device memory is exhausted
  device_unavailable = 28,  ///< the requested device does not exist or cannot be used
  device_failed = 29,       ///< the device reported an error while running
  import_failed = 30,       ///< a foreign weight file was rejected
  internal = 31,            ///< a bug in this library
};

/// The enumerator's name, for example "bad_offsets".
RESNET_ENGINE_API std::string_view to_string(ErrorCode code) noexcept;

/// The one exception type of the library.
///
/// `what()` reads "<where>: <message>; <next>" with the empty parts left out.
class RESNET_ENGINE_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string message, std::string where = {}, std::string next = {});

  ErrorCode code() const noexcept { return code_; }
  /// What happened, without the place.
  const std::string& message() const noexcept { return message_; }
  /// File, layer, tensor, byte offset or option that it happened at. May be empty.
  const std::string& where() const noexcept { return where_; }
  /// What to do next. May be empty.
  const std::string& next() const noexcept { return next_; }

 private:
  ErrorCode code_;
  std::string message_;
  std::string where_;
  std::string next_;
};

}  // namespace resnet
