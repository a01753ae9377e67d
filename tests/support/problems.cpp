#include "support/problems.hpp"

#include <algorithm>
#include <cctype>
#include <ostream>
#include <type_traits>
#include <variant>

#include "support/fused_network.hpp"

namespace resnet::test {
namespace {

struct Limits {
  std::int64_t channels;      ///< of filters with more than one tap, and of everything else
  std::int64_t channels_1x1;  ///< of 1x1 filters and dense layers: several steps along C
  std::int64_t largest_map;   ///< that stays as it is
  std::int64_t map;           ///< what larger ones shrink to, a multiple of 4
  std::int64_t stem_map;      ///< the network's input
  std::int64_t groups;
};

constexpr Limits reduced_limits{64, 128, 14, 12, 28, 8};
constexpr Limits tiny_limits{16, 32, 4, 4, 14, 2};

/// Keeps what a size leaves over in tiles of `limit`.
std::int64_t shrink(std::int64_t channels, std::int64_t limit) {
  return channels <= limit ? channels : limit + channels % std::min<std::int64_t>(limit, 64);
}

/// Odd stays odd, and what stride 2 halves twice stays so.
std::int64_t shrink_map(std::int64_t size, const Limits& limits) {
  if (size > 112) return limits.stem_map;
  return size <= limits.largest_map ? size : limits.map + (size % 2 != 0 ? 1 : size % 4);
}

std::int64_t extent(std::int64_t in, std::int64_t pads, std::int64_t window, std::int64_t stride) {
  return (in + pads - window) / stride + 1;
}

void reduce(ConvProblem& p, const Limits& limits) {
  const std::int64_t groups = std::min(p.groups, limits.groups);
  if (p.groups > 1) {
    p.C = p.C / p.groups * groups, p.K = p.K / p.groups * groups, p.groups = groups;
  } else {
    const std::int64_t most = p.R == 1 && p.S == 1 ? limits.channels_1x1 : limits.channels;
    p.C = shrink(p.C, most), p.K = shrink(p.K, most);
  }
  p.H = shrink_map(p.H, limits), p.W = shrink_map(p.W, limits);
  p.P = extent(p.H, p.pad_top + p.pad_bottom, p.R, p.stride_h);
  p.Q = extent(p.W, p.pad_left + p.pad_right, p.S, p.stride_w);
}

void reduce(PoolProblem& p, const Limits& limits) {
  p.C = shrink(p.C, limits.channels);
  p.H = shrink_map(p.H, limits), p.W = shrink_map(p.W, limits);
  p.P = extent(p.H, p.pad_top + p.pad_bottom, p.R, p.stride_h);
  p.Q = extent(p.W, p.pad_left + p.pad_right, p.S, p.stride_w);
}

void reduce(AdaptivePoolProblem& p, const Limits& limits) { p.C = shrink(p.C, limits.channels_1x1); }
void reduce(DenseProblem& p, const Limits& limits) {
  p.C = shrink(p.C, limits.channels_1x1), p.K = shrink(p.K, limits.channels_1x1);
}
void reduce(PoolDenseProblem& p, const Limits& limits) {
  p.C = shrink(p.C, limits.channels_1x1), p.K = shrink(p.K, limits.channels_1x1);
}
template <class P>
void reduce(P&, const Limits&) {}

std::string test_name(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return text;
}

/// Adds it unless an equal problem is there.
void add(std::vector<ProblemCase>& cases, std::string name, kernels::Problem problem, Sizes sizes) {
  if (sizes != Sizes::full) {
    std::visit([&](auto& own) { reduce(own, sizes == Sizes::tiny ? tiny_limits : reduced_limits); }, problem);
  }
  const bool known =
      std::any_of(cases.begin(), cases.end(), [&](const ProblemCase& other) { return other.problem == problem; });
  if (!known) cases.push_back({test_name(std::move(name)), std::move(problem)});
}

}  // namespace

std::vector<ProblemCase> network_problems(std::int64_t batch, Sizes sizes) {
  std::vector<ProblemCase> cases;
  for (const char* network :
       {"resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"}) {
    const AdaptivePoolProblem* pool = nullptr;
    const std::vector<FusedStep> steps = fused_network(network, batch, 224);
    for (const FusedStep& step : steps) {
      add(cases, std::string(network) + "_" + step.name, step.problem, sizes);
      if (const auto* found = std::get_if<AdaptivePoolProblem>(&step.problem)) pool = found;
      if (const auto* dense = std::get_if<DenseProblem>(&step.problem); dense && pool) {
        PoolDenseProblem both;
        both.N = pool->N, both.H = pool->H, both.W = pool->W, both.C = pool->C, both.K = dense->K;
        both.epilogue = dense->epilogue;
        add(cases, std::string(network) + "_pool_and_" + step.name, both, sizes);
      }
    }
  }
  return cases;
}

std::ostream& operator<<(std::ostream& out, const ProblemCase& problem) {
  return out << kernels::to_string(problem.problem);
}

std::string to_string(const Types& types) {
  std::string text(types.precision == Precision::tf32 ? "tf32" : resnet::to_string(types.in));
  if (types.in != types.out) text += "_" + std::string(resnet::to_string(types.out));
  return text;
}

Types types_of(const kernels::Problem& problem) {
  return std::visit(
      [](const auto& own) -> Types {
        using P = std::decay_t<decltype(own)>;
        if constexpr (std::is_same_v<P, PoolProblem> || std::is_same_v<P, PadProblem>) {
          return {own.dtype, own.dtype, Precision::fp32};
        } else if constexpr (std::is_same_v<P, TopKProblem>) {
          return {own.in, DType::f32, Precision::fp32};
        } else if constexpr (std::is_same_v<P, ConvertProblem>) {
          return {own.in.dtype, own.out.dtype, Precision::fp32};
        } else if constexpr (requires { own.precision; }) {
          return {own.in, own.out, own.precision};
        } else {
          return {own.in, own.out, Precision::fp32};
        }
      },
      problem);
}

kernels::Problem with_types(const kernels::Problem& problem, const Types& types) {
  kernels::Problem result = problem;
  std::visit(
      [&](auto& own) {
        using P = std::decay_t<decltype(own)>;
        if constexpr (std::is_same_v<P, PoolProblem> || std::is_same_v<P, PadProblem>) {
          own.dtype = types.in;
        } else if constexpr (std::is_same_v<P, TopKProblem>) {
          own.in = types.in;
        } else if constexpr (std::is_same_v<P, ConvertProblem>) {
          own.in.dtype = types.in, own.out.dtype = types.out;
        } else {
          own.in = types.in, own.out = types.out;
          if constexpr (requires { own.precision; }) own.precision = types.precision;
        }
      },
      result);
  return result;
}

std::vector<Types> types_for(const kernels::Problem& problem) {
  using enum DType;
  return std::visit(
      [](const auto& own) -> std::vector<Types> {
        using P = std::decay_t<decltype(own)>;
        if constexpr (std::is_same_v<P, PoolProblem> || std::is_same_v<P, PadProblem>) {
          return {{f32, f32, Precision::fp32}, {f16, f16, Precision::fp32}, {bf16, bf16, Precision::fp32}};
        } else if constexpr (std::is_same_v<P, TopKProblem>) {
          return {{f32, f32, Precision::fp32}, {f16, f32, Precision::fp32}, {bf16, f32, Precision::fp32}};
        } else if constexpr (std::is_same_v<P, ConvertProblem>) {
          return {{own.in.dtype, own.out.dtype, Precision::fp32}};
        } else if constexpr (requires { own.precision; }) {
          return {{f32, f32, Precision::fp32},   {f32, f32, Precision::tf32}, {f16, f16, Precision::fp16},
                  {bf16, bf16, Precision::bf16}, {f16, f32, Precision::fp16}, {bf16, f32, Precision::bf16}};
        } else {
          return {{f32, f32, Precision::fp32},
                  {f16, f16, Precision::fp32},
                  {bf16, bf16, Precision::fp32},
                  {f16, f32, Precision::fp32},
                  {bf16, f32, Precision::fp32}};
        }
      },
      problem);
}

std::vector<Types> mixed_types_for(const kernels::Problem& problem) {
  using enum DType;
  return std::visit(
      [](const auto& own) -> std::vector<Types> {
        if constexpr (requires { own.precision; }) {
          return {{f32, f16, Precision::fp32},
                  {f32, bf16, Precision::tf32},
                  {f16, bf16, Precision::fp16},
                  {bf16, f16, Precision::bf16}};
        } else if constexpr (
            !requires { own.out; } || requires { own.out.dims; }) {
          return {};
        } else {
          return {{f32, f16, Precision::fp32},
                  {f32, bf16, Precision::fp32},
                  {f16, bf16, Precision::fp32},
                  {bf16, f16, Precision::fp32}};
        }
      },
      problem);
}

std::int64_t work_of(const kernels::Problem& problem) {
  return std::visit(
      [](const auto& own) -> std::int64_t {
        using P = std::decay_t<decltype(own)>;
        if constexpr (std::is_same_v<P, ConvProblem>) return own.macs();
        if constexpr (std::is_same_v<P, DenseProblem>) return own.N * own.C * own.K;
        if constexpr (std::is_same_v<P, PoolProblem>) return own.N * own.P * own.Q * own.C * own.R * own.S;
        if constexpr (std::is_same_v<P, AdaptivePoolProblem> || std::is_same_v<P, PadProblem>)
          return own.N * own.H * own.W * own.C;
        if constexpr (std::is_same_v<P, PointwiseProblem>) return own.N * own.positions_per_image * own.C;
        if constexpr (std::is_same_v<P, SoftmaxProblem> || std::is_same_v<P, TopKProblem>) return own.rows * own.C;
        if constexpr (std::is_same_v<P, ConvertProblem>) return own.out.dims.elements();
        if constexpr (std::is_same_v<P, PoolDenseProblem>) return own.N * own.C * (own.K + own.H * own.W);
      },
      problem);
}

ConvProblem make_conv(const ConvShape& s, const EpilogueProblem& epilogue) {
  ConvProblem p;
  p.N = s.N, p.H = s.H, p.W = s.W, p.C = s.C, p.K = s.K, p.R = s.R, p.S = s.S;
  p.stride_h = s.stride_h, p.stride_w = s.stride_w;
  p.pad_top = s.pads[0], p.pad_left = s.pads[1], p.pad_bottom = s.pads[2], p.pad_right = s.pads[3];
  p.dilation_h = s.dilation_h, p.dilation_w = s.dilation_w, p.groups = s.groups;
  p.P = extent(s.H, s.pads[0] + s.pads[2], (s.R - 1) * s.dilation_h + 1, s.stride_h);
  p.Q = extent(s.W, s.pads[1] + s.pads[3], (s.S - 1) * s.dilation_w + 1, s.stride_w);
  p.epilogue = epilogue;
  return p;
}

}  // namespace resnet::test
