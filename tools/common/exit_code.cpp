#include "common/exit_code.hpp"

namespace resnet::tools {

ExitCode exit_code_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::image_unsupported:
    case ErrorCode::image_corrupt:
    case ErrorCode::image_limit:
      return ExitCode::input_failed;
    case ErrorCode::invalid_argument:
      return ExitCode::usage;
    case ErrorCode::io:
    case ErrorCode::file_changed:
    case ErrorCode::truncated:
    case ErrorCode::trailing_bytes:
    case ErrorCode::bad_header:
    case ErrorCode::limit_exceeded:
    case ErrorCode::overflow:
    case ErrorCode::bad_offsets:
    case ErrorCode::bad_dtype:
    case ErrorCode::checksum:
    case ErrorCode::future_version:
    case ErrorCode::nonfinite_weight:
    case ErrorCode::bad_batch_norm:
    case ErrorCode::missing_tensor:
    case ErrorCode::unused_tensor:
    case ErrorCode::tensor_shape:
    case ErrorCode::unknown_layer:
    case ErrorCode::bad_attribute:
    case ErrorCode::bad_graph:
    case ErrorCode::bad_geometry:
    case ErrorCode::import_failed:
      return ExitCode::source;
    case ErrorCode::out_of_memory:
    case ErrorCode::busy:
    case ErrorCode::internal:
      return ExitCode::resource;
    case ErrorCode::unsupported:
    case ErrorCode::device_unavailable:
    case ErrorCode::device_failed:
      return ExitCode::device;
  }
  return ExitCode::resource;
}

}  // namespace resnet::tools
