// 3x3 stride-1 convolution by Winograd's F(4x4, 3x3): our transforms around one oneDNN call, a 1x1 convolution with 36
// groups, one per point of the transformed tiles. oneDNN has no Winograd for x64 since 2.x, and its direct 3x3 kernels
// are bound by the FMA peak (65-78 % of it on a Zen 3 core, all of it on Zen 4): this form takes 0.4 to 0.6 of their
// time where tiles are plenty.
#include "backends/cpu/winograd.hpp"

#include <utility>

#include "backends/cpu/entries.hpp"
#include "backends/cpu/onednn.hpp"
#include "base/checked.hpp"

namespace resnet::cpu {
namespace {

using dnnl::memory;

/// Tiles per chunk: the transformed inputs and products of a chunk stay in the caches of two cores.
constexpr std::int64_t chunk_tiles = 192;

std::vector<NodeId> match(const Graph& graph, NodeId first) {
  if (graph.node(first).op->name == "conv2d") return {first};
  return {};
}

WinogradShape resolve(const StepProblem& problem, const DeviceInfo& device) {
  const NodeShapes shapes(*problem.graph, problem.nodes[0], *problem.shapes);
  ConvProblem conv = conv_problem(shapes.view, problem.output_descs[0].dims);
  conv.epilogue.activation = problem.node().epilogue.activation;
  return winograd_shape(conv, !device.avx512);
}

Support supports(const StepProblem& problem, const DeviceInfo& device) {
  const WinogradShape shape = resolve(problem, device);
  const ConvProblem& conv = shape.conv;
  if (problem.precision != Precision::fp32) return Support::no("computes fp32 only");
  if (!device.avx2) return Support::no("needs AVX2");
  if (problem.deterministic) return Support::no("its blocking depends on the batch size");
  if (conv.R != 3 || conv.S != 3) return Support::no("the kernel is not 3x3");
  if (conv.stride_h != 1 || conv.stride_w != 1) return Support::no("the stride is not 1");
  if (conv.dilation_h != 1 || conv.dilation_w != 1) return Support::no("the kernel is dilated");
  if (conv.groups != 1) return Support::no("the convolution is grouped");
  const std::int64_t vector = device.avx512 ? 16 : 8;
  if (conv.C % vector != 0 || conv.K % vector != 0)
    return Support::no("C and K must be multiples of " + std::to_string(vector));
  if (!winograd_activation(conv.epilogue.activation)) return Support::no("the activation is not of the ReLU kind");
  // Transformed weights are four times as large; with few tiles reading them costs more than it saves.
  if (shape.tiles() * 8 < conv.C) return Support::no(std::to_string(shape.tiles()) + " tiles are fewer than C / 8");
  return Support::yes();
}

StepDescs descs(const StepProblem& problem, const DeviceInfo& device) {
  StepDescs wanted;
  for (const ValueDesc& desc : problem.input_descs) wanted.inputs.push_back(preferred(desc.dims, DType::f32, device));
  wanted.outputs = {preferred(problem.output_descs[0].dims, DType::f32, device)};
  return wanted;
}

double estimate_us(const StepProblem& problem, const DeviceInfo& device) {
  const WinogradShape shape = resolve(problem, device);
  const ConvProblem& conv = shape.conv;
  const std::int64_t channels = conv.C + conv.K, products = winograd_points * shape.tiles() * conv.C * conv.K;
  const auto weights = static_cast<std::size_t>(winograd_points * conv.C * conv.K) * sizeof(float);
  const auto transformed = static_cast<std::size_t>(2 * winograd_points * shape.tiles() * channels) * sizeof(float);
  // Products at the rate of a convolution, then what is read and written around them, mostly in cache.
  return estimate(products, 0, problem.threads, device) +
         estimate(0, traffic(problem) + weights + transformed / 3, problem.threads, device);
}

std::vector<AliasRule> aliases(const StepProblem& problem) {
  // A residual is read where the output is written, value by value.
  if (problem.node().epilogue.residual && problem.inputs.size() == 2) return {{0, 1, false}};
  return {};
}

class WinogradStep final : public Step {
 public:
  WinogradStep(const StepProblem& problem, const WinogradShape& shape) : shape_(shape) {
    const ConvProblem& conv = shape_.conv;
    const Node& node = problem.node();
    const std::int64_t chunks = div_up(shape_.tiles(), chunk_tiles);
    tiles_per_chunk_ = div_up(shape_.tiles(), chunks);
    const std::int64_t last = shape_.tiles() - (chunks - 1) * tiles_per_chunk_;
    products_ = make_products(tiles_per_chunk_);
    if (last != tiles_per_chunk_) last_products_ = make_products(last);

    v_bytes_ = static_cast<std::size_t>(winograd_points * conv.C * tiles_per_chunk_) * sizeof(float);
    m_bytes_ = static_cast<std::size_t>(winograd_points * conv.K * tiles_per_chunk_) * sizeof(float);
    weights_.push_back(transformed_request(node, products_.weights));
    if (!node.epilogue.affine.empty()) {
      weights_.push_back(affine_request(node.epilogue.affine, static_cast<std::size_t>(conv.K), AffinePart::shift));
    }
    residual_input_ = node.epilogue.residual ? problem.inputs.size() - 1 : 0;
    has_residual_ = node.epilogue.residual;
  }

  std::size_t workspace_bytes() const override { return v_bytes_ + m_bytes_ + scratch_bytes(); }
  std::span<const WeightRequest> weights() const override { return weights_; }
  std::string detail() const override { return "F(4x4,3x3) around " + products_.implementation; }

  void bind(const StepBuffers& buffers) override {
    x_ = reinterpret_cast<const float*>(buffers.inputs[0]);
    y_ = reinterpret_cast<float*>(buffers.outputs[0]);
    residual_ = has_residual_ ? reinterpret_cast<const float*>(buffers.inputs[residual_input_]) : nullptr;
    shift_ = weights_.size() > 1 ? reinterpret_cast<const float*>(buffers.weights[1]) : nullptr;
    v_ = reinterpret_cast<float*>(buffers.workspace);
    m_ = reinterpret_cast<float*>(buffers.workspace + v_bytes_);
    std::byte* const scratch = buffers.workspace + v_bytes_ + m_bytes_;
    for (Products* products : {&products_, &last_products_}) {
      if (!products->step) continue;
      std::byte* const input = reinterpret_cast<std::byte*>(v_);
      std::byte* const output = reinterpret_cast<std::byte*>(m_);
      products->step->bind({std::span(&input, 1), std::span(&output, 1), buffers.weights.first(1), scratch});
    }
  }

  void run() override {
    for (std::int64_t begin = 0; begin < shape_.tiles(); begin += tiles_per_chunk_) {
      const TileRange range{begin, std::min(tiles_per_chunk_, shape_.tiles() - begin)};
      transform_input(shape_, range, x_, v_);
      (range.count == tiles_per_chunk_ ? products_ : last_products_).step->run();
      transform_output(shape_, range, m_, shift_, residual_, y_);
    }
  }

 private:
  /// The 36 matrix products of a chunk.
  struct Products {
    std::unique_ptr<PrimitiveStep> step;
    memory::desc weights;
    std::string implementation;
  };

  Products make_products(std::int64_t tiles) const {
    const std::int64_t C = shape_.conv.C, K = shape_.conv.K, G = winograd_points;
    const auto tag = shape_.blocked ? memory::format_tag::nChw8c : memory::format_tag::nhwc;
    const memory::desc source({1, G * C, 1, tiles}, memory::data_type::f32, tag),
        target({1, G * K, 1, tiles}, memory::data_type::f32, tag);
    const memory::desc any({G, K, C, 1, 1}, memory::data_type::f32, memory::format_tag::any);
    const dnnl::convolution_forward::primitive_desc primitive({dnnl::prop_kind::forward_inference,
                                                               dnnl::algorithm::convolution_direct,
                                                               source,
                                                               any,
                                                               target,
                                                               {1, 1},
                                                               {0, 0},
                                                               {0, 0}},
                                                              attributes({}), cpu_engine());
    std::vector<Operand> operands{{DNNL_ARG_SRC, source, Source::input, 0},
                                  {DNNL_ARG_DST, target, Source::output, 0},
                                  {DNNL_ARG_WEIGHTS, primitive.weights_desc(), Source::weight, 0}};
    return {std::make_unique<PrimitiveStep>(dnnl::convolution_forward(primitive), operands,
                                            primitive.scratchpad_desc().get_size(), std::vector<WeightRequest>{},
                                            primitive.impl_info_str()),
            primitive.weights_desc(), primitive.impl_info_str()};
  }

  WeightRequest transformed_request(const Node& node, const memory::desc& to) const {
    const std::int64_t C = shape_.conv.C, K = shape_.conv.K;
    const memory::desc plain({winograd_points, K, C, 1, 1}, memory::data_type::f32, memory::format_tag::goihw);
    WeightRequest request =
        weight_request(node.weights[0], plain, to, node.epilogue.affine, static_cast<std::size_t>(K), 2);
    request.format = "winograd F(4x4,3x3) of " + request.format;
    request.pack = [K, C, plain, to, stages = node.epilogue.affine](std::span<const TensorValues> tensors,
                                                                    std::byte* out) {
      const std::vector<double> scale = channel_scale(stages, static_cast<std::size_t>(K), tensors.subspan(1));
      std::vector<float> u(static_cast<std::size_t>(winograd_points * K * C));
      transform_weights(K, C, tensors[0].values.data(), scale.empty() ? nullptr : scale.data(), u.data());
      reorder_once(plain, u.data(), to, out, {});
    };
    return request;
  }

  std::size_t scratch_bytes() const {
    const std::size_t last = last_products_.step ? last_products_.step->workspace_bytes() : 0;
    return std::max(products_.step->workspace_bytes(), last);
  }

  WinogradShape shape_;
  std::int64_t tiles_per_chunk_ = 0;
  Products products_, last_products_;
  std::size_t v_bytes_ = 0, m_bytes_ = 0;
  std::vector<WeightRequest> weights_;
  std::size_t residual_input_ = 0;
  bool has_residual_ = false;
  const float *x_ = nullptr, *shift_ = nullptr, *residual_ = nullptr;
  float *y_ = nullptr, *v_ = nullptr, *m_ = nullptr;
};

std::unique_ptr<Step> prepare(const StepProblem& problem, const DeviceInfo& device) {
  return guarded(problem, [&]() -> std::unique_ptr<Step> {
    return std::make_unique<WinogradStep>(problem, resolve(problem, device));
  });
}

}  // namespace

const Implementation winograd{"winograd", match, supports, estimate_us, descs, aliases, prepare};

}  // namespace resnet::cpu
