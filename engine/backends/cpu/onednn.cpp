#include "backends/cpu/onednn.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace resnet::cpu {

using dnnl::memory;

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

const dnnl::stream& cpu_stream() {
  static const dnnl::stream stream(cpu_engine());
  return stream;
}

memory::data_type to_dnnl(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return memory::data_type::f32;
    case DType::bf16:
      return memory::data_type::bf16;
    case DType::u8:
      return memory::data_type::u8;
    case DType::i8:
      return memory::data_type::s8;
    case DType::i32:
      return memory::data_type::s32;
    default:
      fail(ErrorCode::internal, "oneDNN has no " + std::string(to_string(dtype)), "cpu backend");
  }
}

memory::desc to_dnnl(const ValueDesc& desc) {
  const auto tag = [&] {
    if (desc.layout == LayoutId::nhwc) return memory::format_tag::nhwc;
    if (desc.layout == LayoutId::nchw) return memory::format_tag::nchw;
    if (desc.layout == nchw8c) return memory::format_tag::nChw8c;
    fail(ErrorCode::internal, "unknown layout", "cpu backend");
  }();
  return {{desc.dims.n, desc.dims.c, desc.dims.h, desc.dims.w}, to_dnnl(desc.dtype), tag};
}

LayoutId preferred_layout(std::int64_t channels, const DeviceInfo& device) {
  return device.avx2 && !device.avx512 && channels % 8 == 0 ? nchw8c : LayoutId::nhwc;
}

ValueDesc preferred(const Dims& dims, DType dtype, const DeviceInfo& device) {
  ValueDesc desc;
  desc.dims = dims;
  desc.dtype = dtype;
  desc.layout = preferred_layout(dims.c, device);
  return desc;
}

Support supports_precision(Precision precision, const DeviceInfo& device) {
  if (precision == Precision::fp32) return Support::yes();
  if (precision == Precision::bf16) {
    return device.avx512_bf16 || device.amx_bf16
               ? Support::yes()
               : Support::no("this CPU has no bf16 instructions (AVX512_BF16 or AMX)");
  }
  return Support::no("the cpu device computes fp32 and bf16, not " + std::string(to_string(precision)));
}

void rethrow(const dnnl::error& error, const StepProblem& problem) {
  const std::string layer = problem.nodes.empty() ? "conversion" : "layer " + problem.node().name;
  const ErrorCode code = error.status == dnnl_out_of_memory ? ErrorCode::out_of_memory : ErrorCode::unsupported;
  fail(code, std::string("oneDNN: ") + error.what(), layer);
}

void append_activation(dnnl::post_ops& ops, const Activation& activation) {
  using dnnl::algorithm;
  switch (activation.kind) {
    case ActivationKind::none:
      return;
    case ActivationKind::relu:
      ops.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
      return;
    case ActivationKind::relu6:
      ops.append_eltwise(1.0f, algorithm::eltwise_clip, 0.0f, 6.0f);
      return;
    case ActivationKind::leaky_relu:
      ops.append_eltwise(1.0f, algorithm::eltwise_relu, activation.alpha, 0.0f);
      return;
    case ActivationKind::sigmoid:
      ops.append_eltwise(1.0f, algorithm::eltwise_logistic, 0.0f, 0.0f);
      return;
    case ActivationKind::silu:
      ops.append_eltwise(1.0f, algorithm::eltwise_swish, 1.0f, 0.0f);
      return;
    case ActivationKind::hard_sigmoid:
      ops.append_eltwise(1.0f, algorithm::eltwise_linear, activation.alpha, activation.beta);
      ops.append_eltwise(1.0f, algorithm::eltwise_clip, 0.0f, 1.0f);
      return;
  }
}

dnnl::primitive_attr attributes(const dnnl::post_ops& ops) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attr.set_post_ops(ops);
  return attr;
}

std::string describe(const memory::desc& desc) {
  const auto& data = desc.data;
  const auto& blocking = data.format_desc.blocking;
  std::string text = std::to_string(data.data_type) + ':' + std::to_string(data.format_kind);
  for (int d = 0; d < data.ndims; ++d) {
    text += ' ' + std::to_string(data.padded_dims[d]) + '/' + std::to_string(blocking.strides[d]);
  }
  for (int b = 0; b < blocking.inner_nblks; ++b) {
    text += " b" + std::to_string(blocking.inner_idxs[b]) + 'x' + std::to_string(blocking.inner_blks[b]);
  }
  return text;
}

PrimitiveStep::PrimitiveStep(dnnl::primitive primitive, std::span<const Operand> operands, std::size_t workspace_bytes,
                             std::vector<WeightRequest> weights, std::string detail)
    : primitive_(std::move(primitive)),
      workspace_bytes_(workspace_bytes),
      weights_(std::move(weights)),
      detail_(std::move(detail)) {
  for (const Operand& operand : operands) add(operand);
  if (workspace_bytes_ > 0) {
    const memory::desc scratch({static_cast<memory::dim>(workspace_bytes_)}, memory::data_type::u8,
                               memory::format_tag::a);
    add({DNNL_ARG_SCRATCHPAD, scratch, Source::workspace, 0});
  }
}

void PrimitiveStep::add(const Operand& operand) {
  places_.push_back({operand.source, operand.index});
  memories_.emplace_back(operand.desc, cpu_engine(), nullptr);
  arguments_.push_back({operand.argument, memories_.back().get()});
}

void PrimitiveStep::bind(const StepBuffers& buffers) {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const std::size_t index = places_[i].index;
    const std::byte* address = nullptr;
    switch (places_[i].source) {
      case Source::input:
        address = buffers.inputs[index];
        break;
      case Source::output:
        address = buffers.outputs[index];
        break;
      case Source::weight:
        address = buffers.weights[index];
        break;
      case Source::workspace:
        address = buffers.workspace;
        break;
    }
    memories_[i].set_data_handle(const_cast<std::byte*>(address));
  }
}

void PrimitiveStep::run() {
  const dnnl_status_t status = dnnl_primitive_execute(primitive_.get(), cpu_stream().get(),
                                                      static_cast<int>(arguments_.size()), arguments_.data());
  if (status != dnnl_success) {
    fail(ErrorCode::device_failed, "oneDNN status " + std::to_string(static_cast<int>(status)), detail_);
  }
}

double estimate(std::int64_t macs, std::size_t bytes, int threads, const DeviceInfo& device) {
  // Multiply-adds per microsecond and core at 3 GHz with two vector units, and 15 GB/s per core.
  const double lanes = device.avx512 ? 16 : device.avx2 ? 8 : 4;
  const double arithmetic = static_cast<double>(macs) / (2 * lanes * 3000.0 * threads);
  const double memory_traffic = static_cast<double>(bytes) / (15'000.0 * threads);
  return std::max(arithmetic, memory_traffic) + 2.0;
}

std::size_t traffic(const StepProblem& problem) {
  std::size_t bytes = 0;
  for (const auto& desc : problem.input_descs) bytes += desc.bytes();
  for (const auto& desc : problem.output_descs) bytes += desc.bytes();
  return bytes;
}

}  // namespace resnet::cpu
