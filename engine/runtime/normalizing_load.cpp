#include "runtime/normalizing_load.hpp"

#include <utility>
#include <vector>

#include "image/normalize.hpp"

namespace resnet {
namespace {

class HostNormalization final : public Step {
 public:
  HostNormalization(const Preprocess& preprocess, const ValueDesc& from)
      : table_(make_normalize_table(preprocess)), from_(from) {}

  void bind(const StepBuffers& buffers) override {
    in_ = reinterpret_cast<const std::uint8_t*>(buffers.inputs[0]);
    out_ = reinterpret_cast<float*>(buffers.outputs[0]);
  }
  void run() override {
    const auto [n, h, w, c] = from_.dims;
    const std::int64_t area = h * w;
    const bool nhwc = from_.layout == LayoutId::nhwc;
    const std::int64_t position_step = nhwc ? c : 1, channel_step = nhwc ? 1 : area;
    for (std::int64_t image = 0; image < n; ++image) {
      for (std::int64_t channel = 0; channel < c; ++channel) {
        const auto& values = table_[static_cast<std::size_t>(channel)];
        const std::uint8_t* from = in_ + image * area * c + channel * channel_step;
        float* to = out_ + image * area * c + channel;
        for (std::int64_t i = 0; i < area; ++i) to[i * c] = values[from[i * position_step]];
      }
    }
  }

 private:
  NormalizeTable table_;
  ValueDesc from_;
  const std::uint8_t* in_ = nullptr;
  float* out_ = nullptr;
};

}  // namespace

InputLoad normalizing_load(Backend& backend, const Preprocess& preprocess, const ValueDesc& from, const Plan& plan) {
  const auto channels = static_cast<std::size_t>(from.dims.c);
  std::vector<float> scale(channels), shift(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    const double mean = preprocess.mean.empty() ? 0 : preprocess.mean[c];
    const double std = preprocess.std.empty() ? 1 : preprocess.std[c];
    scale[c] = static_cast<float>(preprocess.scale / std);
    shift[c] = static_cast<float>(-mean / std);
  }
  InputLoad load{backend.affine_conversion(from, plan.entry.desc, scale, shift), false, plan.entry, plan.entry_step};
  if (load.conversion) return load;
  load = {backend.affine_conversion(from, plan.input.desc, scale, shift), false, plan.input, 0};
  if (!load.conversion && backend.allocator().host_visible())
    load.conversion = std::make_unique<HostNormalization>(preprocess, from);
  return load;
}

}  // namespace resnet
