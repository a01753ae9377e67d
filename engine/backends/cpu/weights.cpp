// Weight packing: one oneDNN reorder from the file's order to the primitive's, with the batch norm's scale per output
// channel applied on the way.
#include "backends/cpu/onednn.hpp"

namespace resnet::cpu {

void reorder_once(const dnnl::memory::desc& from, const float* values, const dnnl::memory::desc& to, std::byte* out,
                  const std::vector<float>& scale, int scale_mask) {
  const ThreadScope single(1);  // the weight store runs one task per core
  dnnl::primitive_attr attr;
  if (!scale.empty()) attr.set_output_scales(scale_mask, scale);
  dnnl::memory source(from, cpu_engine(), const_cast<float*>(values));
  dnnl::memory target(to, cpu_engine(), out);
  dnnl::stream stream(cpu_engine());
  dnnl::reorder(dnnl::reorder::primitive_desc(source, target, attr)).execute(stream, source, target);
  stream.wait();
}

std::vector<double> channel_scale(std::span<const AffineStage> stages, std::size_t channels,
                                  std::span<const TensorValues> tensors) {
  if (tensors.empty()) return {};
  return evaluate_affine(stages, channels, lookup_by_name(tensors)).scale;
}

WeightRequest weight_request(const std::string& tensor, const dnnl::memory::desc& from, const dnnl::memory::desc& to,
                             std::span<const AffineStage> stages, std::size_t channels, int channel_dims) {
  WeightRequest request;
  request.tensors = {tensor};
  bool scaled = false;
  for (const AffineStage& stage : stages) scaled = scaled || stage.kind == AffineStage::Kind::batch_norm;
  request.format = "onednn " + describe(from) + " -> " + describe(to);
  request.bytes = to.get_size();
  std::vector<AffineStage> kept;
  if (scaled) {
    kept.assign(stages.begin(), stages.end());
    for (auto& name : affine_tensors(stages)) request.tensors.push_back(std::move(name));
    request.format += " scaled by " + affine_key(stages);
  }
  request.pack = [kept = std::move(kept), from, to, channels, channel_dims](std::span<const TensorValues> tensors,
                                                                            std::byte* out) {
    const std::vector<double> scale = channel_scale(kept, channels, tensors.subspan(1));
    reorder_once(from, tensors[0].values.data(), to, out, {scale.begin(), scale.end()}, (1 << channel_dims) - 1);
  };
  return request;
}

void append_scale_shift(dnnl::post_ops& ops, std::span<const AffineStage> stages, std::int64_t channels,
                        std::vector<Operand>& operands, std::vector<WeightRequest>& weights) {
  const dnnl::memory::desc per_channel({1, channels, 1, 1}, dnnl::memory::data_type::f32,
                                       dnnl::memory::format_tag::nchw);
  for (const bool scale : {true, false}) {
    ops.append_binary(scale ? dnnl::algorithm::binary_mul : dnnl::algorithm::binary_add, per_channel);
    operands.push_back(
        {DNNL_ARG_ATTR_MULTIPLE_POST_OP(ops.len() - 1) | DNNL_ARG_SRC_1, per_channel, Source::weight, weights.size()});
    weights.push_back(
        affine_request(stages, static_cast<std::size_t>(channels), scale ? AffinePart::scale : AffinePart::shift));
  }
}

}  // namespace resnet::cpu
