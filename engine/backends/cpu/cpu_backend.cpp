#include "backends/cpu/cpu_backend.hpp"

#include <array>
#include <utility>
#include <vector>

#include "backends/cpu/entries.hpp"
#include "backends/cpu/onednn.hpp"
#include "base/host_allocator.hpp"

namespace resnet {
namespace cpu {
namespace {

Support supports_reorder(const StepProblem& problem, const DeviceInfo&) {
  for (const auto* desc : {&problem.input_descs[0], &problem.output_descs[0]}) {
    if (desc->dtype != DType::f32 && desc->dtype != DType::bf16 && desc->dtype != DType::u8) {
      return Support::no("no conversion of " + std::string(to_string(desc->dtype)));
    }
  }
  if (problem.input_descs[0].dims != problem.output_descs[0].dims) return Support::no("sizes differ");
  return Support::yes();
}

double estimate_reorder_us(const StepProblem& problem, const DeviceInfo& device) {
  return estimate(0, traffic(problem), problem.threads, device);
}

std::unique_ptr<Step> prepare_reorder(const StepProblem& problem, const DeviceInfo&) {
  return guarded(problem, [&]() -> std::unique_ptr<Step> {
    const auto from = to_dnnl(problem.input_descs[0]), to = to_dnnl(problem.output_descs[0]);
    const dnnl::reorder::primitive_desc primitive(cpu_engine(), from, cpu_engine(), to, attributes({}));
    std::vector<Operand> operands{{DNNL_ARG_FROM, from, Source::input, 0}, {DNNL_ARG_TO, to, Source::output, 0}};
    return std::make_unique<PrimitiveStep>(dnnl::reorder(primitive), operands, primitive.scratchpad_desc().get_size(),
                                           std::vector<WeightRequest>{}, "reorder");
  });
}

}  // namespace

const Implementation reorder{"onednn_reorder", nullptr, supports_reorder, estimate_reorder_us,
                             nullptr,          nullptr, prepare_reorder};

namespace {

/// The whole decision on one screen: order is priority among equal estimates.
constexpr std::array ordered_list{&winograd,
                                  &convolution_into_residual,
                                  &convolution,
                                  &dense,
                                  &max_pool,
                                  &avg_pool,
                                  &global_avg_pool,
                                  &add,
                                  &mul,
                                  &scale_shift,
                                  &activation,
                                  &softmax};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(std::span<const Implementation* const> fallback)
      : device_(detect_cpu()), list_(ordered_list.begin(), ordered_list.end()) {
    list_.insert(list_.end(), fallback.begin(), fallback.end());
  }

  std::string_view name() const override { return "cpu"; }
  const DeviceInfo& device() const override { return device_; }
  DeviceAllocator& allocator() override { return allocator_; }
  std::span<const Implementation* const> implementations() const override { return list_; }
  const Implementation* conversion() const override { return &reorder; }
  Support supports_precision(Precision precision) const override { return cpu::supports_precision(precision, device_); }
  void begin_run(int threads, const CallerStream*) override {
    threads_before_ = omp_get_max_threads();
    omp_set_num_threads(threads);
  }
  void end_run() override { omp_set_num_threads(threads_before_); }

 private:
  DeviceInfo device_;
  HostAllocator allocator_;
  std::vector<const Implementation*> list_;
  static thread_local int threads_before_;
};

thread_local int CpuBackend::threads_before_ = 0;

}  // namespace
}  // namespace cpu

std::shared_ptr<Backend> make_cpu_backend(std::span<const Implementation* const> fallback) {
  return std::make_shared<cpu::CpuBackend>(fallback);
}

}  // namespace resnet
