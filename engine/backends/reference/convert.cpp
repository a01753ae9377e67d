#include <cstring>

#include "backends/reference/entries.hpp"
#include "base/dtype.hpp"

namespace resnet::reference {
namespace {

Support check_layout(const ValueDesc& desc) {
  if (desc.layout == LayoutId::nhwc || desc.layout == LayoutId::nchw) return Support::yes();
  return Support::no("another backend's private layout");
}

Support supports(const StepProblem& problem, const DeviceInfo&) {
  const ValueDesc &from = problem.input_descs[0], &to = problem.output_descs[0];
  if (from.dtype != DType::f32 && from.dtype != DType::u8)
    return Support::no("reads f32 and u8, not " + std::string(to_string(from.dtype)));
  if (to.dtype != DType::f32) return Support::no("writes f32, not " + std::string(to_string(to.dtype)));
  if (from.dims != to.dims) return Support::no("sizes differ");
  if (const Support layout = check_layout(from); !layout) return layout;
  return check_layout(to);
}

double estimate_us(const StepProblem& problem, const DeviceInfo&) {
  return 1 + static_cast<double>(problem.input_descs[0].bytes() + problem.output_descs[0].bytes()) / 2000;
}

/// Distance in elements between neighbours along each axis.
struct Strides {
  std::int64_t n, h, w, c;
  explicit Strides(const ValueDesc& desc) {
    const std::int64_t H = desc.dims.h, W = desc.dims.w, C = desc.channels_in_memory();
    n = H * W * C;
    if (desc.layout == LayoutId::nhwc) {
      h = W * C, w = C, c = 1;
    } else {
      h = W, w = 1, c = H * W;
    }
  }
};

template <class Source>
void copy(const ValueDesc& from, const Source* x, const ValueDesc& to, float* y) {
  const Strides in(from), out(to);
  const auto& [N, H, W, C] = to.dims;
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t h = 0; h < H; ++h) {
      for (std::int64_t w = 0; w < W; ++w) {
        const Source* source = x + n * in.n + h * in.h + w * in.w;
        float* target = y + n * out.n + h * out.h + w * out.w;
        for (std::int64_t c = 0; c < C; ++c) target[c * out.c] = static_cast<float>(source[c * in.c]);
        for (std::int64_t c = C; c < to.channels_in_memory(); ++c) target[c * out.c] = 0;
      }
    }
  }
}

class ConvertStep final : public Step {
 public:
  explicit ConvertStep(const StepProblem& problem) : from_(problem.input_descs[0]), to_(problem.output_descs[0]) {}

  void bind(const StepBuffers& buffers) override {
    source_ = buffers.inputs[0];
    target_ = buffers.outputs[0];
  }
  void run() override {
    if (from_ == to_) {
      std::memcpy(target_, source_, to_.bytes());
    } else if (from_.dtype == DType::u8) {
      copy(from_, reinterpret_cast<const std::uint8_t*>(source_), to_, reinterpret_cast<float*>(target_));
    } else {
      copy(from_, reinterpret_cast<const float*>(source_), to_, reinterpret_cast<float*>(target_));
    }
  }
  std::string detail() const override { return to_string(from_) + " to " + to_string(to_); }

 private:
  ValueDesc from_, to_;
  const std::byte* source_ = nullptr;
  std::byte* target_ = nullptr;
};

std::unique_ptr<Step> prepare(const StepProblem& problem, const DeviceInfo&) {
  return std::make_unique<ConvertStep>(problem);
}

}  // namespace

const Implementation convert{"reference_convert", nullptr, supports, estimate_us, nullptr, nullptr, prepare};

}  // namespace resnet::reference
