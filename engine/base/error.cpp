#include "resnet_engine/error.hpp"

#include <utility>

namespace resnet {
namespace {

std::string compose(const std::string& message, const std::string& where, const std::string& next) {
  std::string text = where.empty() ? message : where + ": " + message;
  if (!next.empty()) text += "; " + next;
  return text;
}

}  // namespace

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::busy:
      return "busy";
    case ErrorCode::io:
      return "io";
    case ErrorCode::file_changed:
      return "file_changed";
    case ErrorCode::truncated:
      return "truncated";
    case ErrorCode::trailing_bytes:
      return "trailing_bytes";
    case ErrorCode::bad_header:
      return "bad_header";
    case ErrorCode::limit_exceeded:
      return "limit_exceeded";
    case ErrorCode::overflow:
      return "overflow";
    case ErrorCode::bad_offsets:
      return "bad_offsets";
    case ErrorCode::bad_dtype:
      return "bad_dtype";
    case ErrorCode::checksum:
      return "checksum";
    case ErrorCode::future_version:
      return "future_version";
    case ErrorCode::nonfinite_weight:
      return "nonfinite_weight";
    case ErrorCode::bad_batch_norm:
      return "bad_batch_norm";
    case ErrorCode::missing_tensor:
      return "missing_tensor";
    case ErrorCode::unused_tensor:
      return "unused_tensor";
    case ErrorCode::tensor_shape:
      return "tensor_shape";
    case ErrorCode::unknown_layer:
      return "unknown_layer";
    case ErrorCode::bad_attribute:
      return "bad_attribute";
    case ErrorCode::bad_graph:
      return "bad_graph";
    case ErrorCode::bad_geometry:
      return "bad_geometry";
    case ErrorCode::image_unsupported:
      return "image_unsupported";
    case ErrorCode::image_corrupt:
      return "image_corrupt";
    case ErrorCode::image_limit:
      return "image_limit";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::out_of_memory:
      return "out_of_memory";
    case ErrorCode::device_unavailable:
      return "device_unavailable";
    case ErrorCode::device_failed:
      return "device_failed";
    case ErrorCode::import_failed:
      return "import_failed";
    case ErrorCode::internal:
      return "internal";
  }
  return "unknown";
}

Error::Error(ErrorCode code, std::string message, std::string where, std::string next)
    : std::runtime_error(compose(message, where, next)),
      code_(code),
      message_(std::move(message)),
      where_(std::move(where)),
      next_(std::move(next)) {}

}  // namespace resnet
