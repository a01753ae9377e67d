#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "base/dtype.hpp"
#include "resnet_engine/resnet_engine.h"
#include "resnet_engine/session.hpp"

struct rne_model {
  resnet::Model model;
};
struct rne_session {
  resnet::Session session;
  resnet::Model model;
  std::string description = {};
};

namespace {

using namespace resnet;

std::string& last_error() {
  thread_local std::string text;
  return text;
}

/// Runs `call` and turns whatever it throws into a status.
template <class Call>
rne_status guarded(Call&& call) noexcept {
  try {
    try {
      call();
      return RNE_OK;
    } catch (const Error& error) {
      last_error() = error.what();
      return static_cast<rne_status>(error.code());
    } catch (const std::bad_alloc&) {
      last_error() = "host memory: out of memory";
      return static_cast<rne_status>(ErrorCode::out_of_memory);
    } catch (const std::exception& error) {
      last_error() = error.what();
      return static_cast<rne_status>(ErrorCode::internal);
    }
  } catch (...) {  // not even the text could be stored
    return static_cast<rne_status>(ErrorCode::internal);
  }
}

template <class Pointer>
void require(Pointer* pointer, const char* name) {
  if (pointer == nullptr) fail(ErrorCode::invalid_argument, "is null", name);
}

Layout layout_of(std::int32_t layout) {
  if (layout == RNE_NHWC) return Layout::nhwc;
  if (layout == RNE_NCHW) return Layout::nchw;
  fail(ErrorCode::invalid_argument, "is neither RNE_NHWC nor RNE_NCHW", "layout");
}

DType dtype_of(std::int32_t dtype) {
  if (dtype == RNE_FLOAT32) return DType::f32;
  if (dtype == RNE_UINT8) return DType::u8;
  fail(ErrorCode::invalid_argument, "is neither RNE_FLOAT32 nor RNE_UINT8", "dtype");
}

std::vector<std::string> split(const char* names) {
  std::vector<std::string> list;
  std::istringstream text(names == nullptr ? "" : names);
  for (std::string name; std::getline(text, name, ',');) list.push_back(name);
  return list;
}

SessionOptions session_options(const rne_session_options& given) {
  rne_session_options known = {};
  constexpr std::size_t smallest = offsetof(rne_session_options, device), largest = 1024;
  if (given.struct_size < smallest || given.struct_size > largest)
    fail(ErrorCode::invalid_argument, "is not sizeof(rne_session_options)", "struct_size");
  std::memcpy(&known, &given, std::min(given.struct_size, sizeof known));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(&given);
  const bool unknown = std::any_of(bytes + sizeof known, bytes + std::max(given.struct_size, sizeof known),
                                   [](unsigned char byte) { return byte != 0; });
  if (unknown || known.reserved != 0) {
    fail(ErrorCode::invalid_argument, "has an option that this version of the library does not know",
         "rne_session_options", "use the library of the header's version");
  }
  SessionOptions options;
  if (known.device != nullptr) options.device = known.device;
  if (known.precision != nullptr) options.precision = parse_precision(known.precision);
  options.threads = known.threads;
  options.deterministic = known.deterministic != 0;
  options.force_implementations = split(known.force_implementations);
  options.forbid_implementations = split(known.forbid_implementations);
  options.normalize_uint8 = known.normalize_uint8 != 0;
  return options;
}

ConstTensorView input_view(const rne_session& session, const void* input, std::int32_t dtype, std::int32_t layout,
                           std::int64_t n, std::int64_t height, std::int64_t width, MemoryKind memory) {
  return {input, n, height, width, session.model.input_size().channels, dtype_of(dtype), layout_of(layout), memory};
}

/// `capacity` counts elements.
void preprocess_file_into(const rne_model* model, const char* path, std::int32_t layout, void* tensor, DType dtype,
                          std::size_t capacity) {
  require(model, "model");
  require(path, "path");
  require(tensor, "tensor");
  const auto& preset = model->model.preprocess();
  if (!preset)
    fail(ErrorCode::unsupported, "the model file holds no preprocessing", model->model.path(),
         "convert it with --preset");
  const Image image = load_image(path, {preset->color, false});
  const ImageSize size = preprocessed_size(image, *preset);
  const TensorView out{tensor, 1, size.height, size.width, image.channels, dtype, layout_of(layout)};
  if (static_cast<std::uint64_t>(out.elements()) > capacity) {
    fail(ErrorCode::invalid_argument,
         "has room for " + std::to_string(capacity) + " values, " + std::to_string(out.elements()) + " are needed",
         "tensor");
  }
  preprocess_image(image, *preset, out);
}

}  // namespace

const char* rne_last_error(void) { return last_error().c_str(); }
const char* rne_version(void) { return RESNET_ENGINE_VERSION; }

rne_status rne_model_load(const char* path, rne_model** model) {
  return guarded([&] {
    require(path, "path");
    require(model, "model");
    *model = new rne_model{Model::load(path)};
  });
}

void rne_model_free(rne_model* model) { delete model; }

rne_status rne_model_sizes(const rne_model* model, int64_t* height, int64_t* width, int64_t* channels,
                           int64_t* output_size) {
  return guarded([&] {
    require(model, "model");
    const Model::InputSize size = model->model.input_size();
    if (height != nullptr) *height = size.height;
    if (width != nullptr) *width = size.width;
    if (channels != nullptr) *channels = size.channels;
    if (output_size != nullptr) *output_size = model->model.output_size();
  });
}

const char* rne_model_label(const rne_model* model, int64_t index) {
  if (model == nullptr || index < 0 || index >= model->model.output_size()) return nullptr;
  const auto& labels = model->model.labels();
  return static_cast<std::size_t>(index) < labels.size() ? labels[static_cast<std::size_t>(index)].c_str() : "";
}

rne_status rne_session_create(const rne_model* model, const char* device, const char* precision, int32_t threads,
                              rne_session** session) {
  rne_session_options options = {};
  options.struct_size = sizeof options;
  options.device = device, options.precision = precision, options.threads = threads;
  return rne_session_create_with(model, &options, session);
}

rne_status rne_session_create_with(const rne_model* model, const rne_session_options* options, rne_session** session) {
  return guarded([&] {
    require(model, "model");
    require(options, "options");
    require(session, "session");
    *session = new rne_session{Session(model->model, session_options(*options)), model->model};
  });
}

const char* rne_session_describe(rne_session* session) {
  const rne_status status = guarded([&] {
    require(session, "session");
    session->description = session->session.describe_json();
  });
  return status == RNE_OK ? session->description.c_str() : nullptr;
}

void rne_session_free(rne_session* session) { delete session; }

rne_status rne_session_run(rne_session* session, const void* input, int32_t dtype, int32_t layout, int64_t n,
                           int64_t height, int64_t width, float* output) {
  return guarded([&] {
    require(session, "session");
    session->session.run(input_view(*session, input, dtype, layout, n, height, width, MemoryKind::host),
                         {output, n, 1, 1, session->model.output_size()});
  });
}

rne_status rne_session_enqueue(rne_session* session, const void* input, int32_t dtype, int32_t layout, int64_t n,
                               int64_t height, int64_t width, float* output, void* stream) {
  return guarded([&] {
    require(session, "session");
    const TensorView out{output, n, 1, 1, session->model.output_size(), DType::f32, Layout::nhwc, MemoryKind::device};
    session->session.enqueue(input_view(*session, input, dtype, layout, n, height, width, MemoryKind::device), out,
                             stream);
  });
}

rne_status rne_preprocess_file(const rne_model* model, const char* path, int32_t layout, float* tensor,
                               size_t capacity) {
  return guarded([&] { preprocess_file_into(model, path, layout, tensor, DType::f32, capacity); });
}

rne_status rne_preprocess_file_uint8(const rne_model* model, const char* path, int32_t layout, uint8_t* tensor,
                                     size_t capacity) {
  return guarded([&] { preprocess_file_into(model, path, layout, tensor, DType::u8, capacity); });
}
