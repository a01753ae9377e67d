#include "verify/verify.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <utility>

#include "common/json.hpp"
#include "common/npy.hpp"
#include "common/open_session.hpp"
#include "common/tool_error.hpp"

namespace resnet::tools {
namespace {

/// Images per run.
constexpr std::int64_t batch = 4;

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text.empty() ? "none" : text;
}

[[noreturn]] void misshapen(const NpyReader& array, const std::string& wanted) {
  throw Error(ErrorCode::tensor_shape, "has the shape " + shape_text(array.header().shape) + ", not " + wanted,
              array.path(), "save the array that belongs to this model");
}

/// The images that go through the model, a few at a time.
class Images {
 public:
  Images(const VerifyOptions& options, const Model& model) {
    const auto own = model.input_size();
    height_ = own.height, width_ = own.width, channels_ = own.channels;
    if (options.input.empty()) return;
    array_ = std::make_unique<NpyReader>(options.input);
    const auto& shape = array_->header().shape;
    const std::string channels = std::to_string(channels_);
    const bool nchw = shape.size() == 4 && shape[1] == channels_, nhwc = shape.size() == 4 && shape[3] == channels_;
    if (!nchw && !nhwc) misshapen(*array_, "N x " + channels + " x H x W or N x H x W x " + channels);
    if (nchw && nhwc && !options.layout)
      throw UsageError(options.input + " may be N x C x H x W and N x H x W x C; name its --layout");
    layout_ = options.layout.value_or(nchw ? Layout::nchw : Layout::nhwc);
    if (layout_ == Layout::nchw ? !nchw : !nhwc) misshapen(*array_, channels + " channels in that --layout");
    count_ = shape[0];
    const std::size_t first = layout_ == Layout::nchw ? 2 : 1;
    height_ = shape[first], width_ = shape[first + 1];
    if (array_->header().elements() == 0) misshapen(*array_, "an array with an image in it");
  }

  std::int64_t count() const { return count_; }
  std::int64_t height() const { return height_; }
  std::int64_t width() const { return width_; }
  std::int64_t channels() const { return channels_; }

  ConstTensorView read(std::int64_t first, std::int64_t count) {
    values_.resize(static_cast<std::size_t>(count * height_ * width_ * channels_));
    if (array_) {
      array_->read_rows(first, count, values_);
    } else {
      std::mt19937 random(1);
      for (float& value : values_) value = static_cast<float>(random()) * 0x1p-31f - 1;  // -1 to 1
    }
    return {values_.data(), count, height_, width_, channels_, DType::f32, layout_};
  }

 private:
  std::unique_ptr<NpyReader> array_;
  std::int64_t count_ = 1, height_ = 0, width_ = 0, channels_ = 0;
  Layout layout_ = Layout::nchw;
  std::vector<float> values_;
};

std::span<const float> values(const ConstTensorView& view) {
  return {static_cast<const float*>(view.data), static_cast<std::size_t>(view.elements())};
}

std::ptrdiff_t largest(std::span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

std::vector<float> outputs(Session& session, const ConstTensorView& input, std::int64_t size) {
  std::vector<float> output(static_cast<std::size_t>(input.n * size));
  session.run(input, {output.data(), input.n, 1, 1, size});
  return output;
}

Session open_against(const Model& model, const SessionOptions& options) {
  try {
    return Session(model, options);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::device_unavailable) throw;
    throw Error(error.code(), error.message(), "--against " + options.device, "compare with another device");
  }
}

/// What both retain, in the order of the first one's steps. A step that takes several layers may have no counterpart.
std::vector<std::string> common_values(const Session& session, const Session& other) {
  const std::vector<std::string> ours = session.retained_names(), theirs = other.retained_names();
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::string> common;
  const Json plan = parse_json(session.describe_json(), "session description", {10'000'000, 64});
  for (const Json& step : plan.at("steps").as_array()) {
    const auto& layers = step.at("layers").as_array();
    if (layers.empty()) continue;
    const std::string& name = layers.back().as_string();
    if (has(ours, name) && has(theirs, name)) common.push_back(name);
  }
  return common;
}

}  // namespace

const Verification::Value* Verification::first_past(double tolerance) const {
  for (const Value& layer : layers) {
    if (!layer.difference.within(tolerance)) return &layer;
  }
  return output.difference.within(tolerance) ? nullptr : &output;
}

Verification verify(const VerifyOptions& options) {
  const Model model = Model::load(options.model);
  const std::int64_t size = model.output_size();
  Images images(options, model);
  std::unique_ptr<NpyReader> expected_array;
  if (!options.expected.empty()) {
    expected_array = std::make_unique<NpyReader>(options.expected);
    if (expected_array->rows() != images.count() || expected_array->row_elements() != size)
      misshapen(*expected_array, std::to_string(images.count()) + " x " + std::to_string(size));
  }

  SessionOptions own = options.session, other;
  other.device = options.against, other.threads = own.threads;
  if (options.layers) own.retain = other.retain = Retain::steps;
  Session session = open_session(model, own);
  std::optional<Session> against;
  if (!options.against.empty()) against.emplace(open_against(model, other));

  Verification result;
  result.device = session.device() + ' ' + std::string(to_string(own.precision));
  result.against = against ? against->device() + " fp32" : options.expected;
  result.images = images.count();
  result.height = images.height(), result.width = images.width(), result.channels = images.channels();
  for (std::int64_t first = 0; first < images.count(); first += batch) {
    const ConstTensorView input = images.read(first, std::min(batch, images.count() - first));
    const std::vector<float> got = outputs(session, input, size);
    std::vector<float> expected(got.size());
    if (against) {
      expected = outputs(*against, input, size);
    } else {
      expected_array->read_rows(first, input.n, expected);
    }
    result.output.difference.add(got, expected);
    for (std::int64_t n = 0; n < input.n; ++n) {
      const auto row = [&](const std::vector<float>& all) {
        return std::span(all).subspan(static_cast<std::size_t>(n * size), static_cast<std::size_t>(size));
      };
      result.same_class += largest(row(got)) == largest(row(expected)) ? 1 : 0;
    }
    if (!options.layers) continue;
    if (first == 0) {
      for (std::string& name : common_values(session, *against)) result.layers.push_back({std::move(name), {}});
    }
    for (auto& [name, difference] : result.layers)
      difference.add(values(session.retained(name)), values(against->retained(name)));
  }
  return result;
}

}  // namespace resnet::tools
