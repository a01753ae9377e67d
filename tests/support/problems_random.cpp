#include <algorithm>
#include <initializer_list>

#include "support/problems.hpp"

namespace resnet::test {
namespace {

/// splitmix64: the same numbers with every standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// In [low, high].
  std::int64_t in(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(int percent) { return in(1, 100) <= percent; }
  std::int64_t of(std::initializer_list<std::int64_t> list) {
    return list.begin()[in(0, static_cast<std::int64_t>(list.size()) - 1)];
  }

 private:
  std::uint64_t state_;
};

EpilogueProblem random_epilogue(Random& random, bool residual_allowed) {
  constexpr ActivationKind kinds[] = {ActivationKind::none, ActivationKind::relu, ActivationKind::relu6,
                                      ActivationKind::leaky_relu};
  EpilogueProblem e;
  e.scale = random.chance(60), e.shift = random.chance(60), e.residual = residual_allowed && random.chance(30);
  e.activation.kind = kinds[random.in(0, 3)];
  if (e.activation.kind == ActivationKind::relu6) e.scale = true;  // else sums of integers all end at 6
  if (e.activation.kind == ActivationKind::leaky_relu) e.activation.alpha = 0.25f;
  return e;
}

kernels::Problem random_conv(Random& random) {
  constexpr std::int64_t most_macs = 1500000;
  for (;;) {
    ConvShape s;
    s.N = random.of({1, 1, 1, 2, 3, 8});
    s.H = random.in(1, 15), s.W = random.in(1, 15);
    s.R = random.of({1, 1, 2, 3, 3, 3, 5, 7}), s.S = random.chance(80) ? s.R : random.in(1, 5);
    s.stride_h = random.of({1, 1, 2, 3}), s.stride_w = random.chance(80) ? s.stride_h : random.in(1, 3);
    s.dilation_h = random.of({1, 1, 1, 2}), s.dilation_w = random.chance(80) ? s.dilation_h : random.in(1, 2);
    if (random.chance(70)) {
      s.pads[0] = s.pads[2] = s.dilation_h * (s.R - 1) / 2;
      s.pads[1] = s.pads[3] = s.dilation_w * (s.S - 1) / 2;
    } else {
      for (std::int64_t& pad : s.pads) pad = random.in(0, 3);
    }
    if (random.chance(75)) {
      s.C = random.chance(60) ? 8 * random.in(1, 16) : random.in(1, 130);
      s.K = random.chance(60) ? 8 * random.in(1, 18) : random.in(1, 140);
    } else if (random.chance(60)) {
      s.groups = random.of({2, 3, 4, 8});
      s.C = s.groups * random.of({1, 3, 4, 8, 16, 20}), s.K = s.groups * random.of({1, 4, 5, 8, 16, 32});
    } else {
      s.groups = s.C = s.K = random.in(1, 80);
    }
    if (s.H + s.pads[0] + s.pads[2] < (s.R - 1) * s.dilation_h + 1) continue;
    if (s.W + s.pads[1] + s.pads[3] < (s.S - 1) * s.dilation_w + 1) continue;
    const ConvProblem problem = make_conv(s, random_epilogue(random, true));
    if (problem.macs() <= most_macs) return problem;
  }
}

kernels::Problem random_dense(Random& random) {
  DenseProblem p;
  p.N = random.of({1, 1, 2, 5, 33}), p.C = random.in(1, 600), p.K = random.in(1, 150);
  p.epilogue = random_epilogue(random, true);
  return p;
}

kernels::Problem random_pool(Random& random) {
  PoolProblem p;
  p.N = random.in(1, 3), p.H = random.in(1, 20), p.W = random.in(1, 20);
  p.C = random.chance(50) ? 8 * random.in(1, 10) : random.in(1, 70);
  p.R = random.in(1, 5), p.S = random.in(1, 5), p.stride_h = random.in(1, 3), p.stride_w = random.in(1, 3);
  p.pad_top = random.in(0, p.R - 1), p.pad_bottom = random.in(0, p.R - 1);
  p.pad_left = random.in(0, p.S - 1), p.pad_right = random.in(0, p.S - 1);
  p.max = random.chance(50);
  p.count_include_pad = !p.max && random.chance(50);
  // As PyTorch's ceil mode: a last window may stick out, if it starts inside.
  const auto extent = [](std::int64_t in, std::int64_t before, std::int64_t after, std::int64_t window,
                         std::int64_t stride, bool ceil) {
    const std::int64_t free = in + before + after - window;
    std::int64_t out = (free + (ceil ? stride - 1 : 0)) / stride + 1;
    if (ceil && (out - 1) * stride >= in + before) --out;
    return out;
  };
  const bool ceil = random.chance(40);
  p.H = std::max(p.H, p.R - p.pad_top - p.pad_bottom), p.W = std::max(p.W, p.S - p.pad_left - p.pad_right);
  p.P = extent(p.H, p.pad_top, p.pad_bottom, p.R, p.stride_h, ceil);
  p.Q = extent(p.W, p.pad_left, p.pad_right, p.S, p.stride_w, ceil);
  return p;
}

kernels::Problem random_pointwise(Random& random) {
  PointwiseProblem p;
  p.kind = static_cast<PointwiseKind>(random.in(0, 3));
  p.N = random.in(1, 4), p.positions_per_image = random.in(1, 60), p.C = random.in(1, 100);
  p.epilogue = random_epilogue(random, false);
  return p;
}

}  // namespace

std::vector<ProblemCase> random_problems(std::uint64_t seed, int count) {
  Random random(seed);
  std::vector<ProblemCase> cases;
  for (int i = 0; i < count; ++i) {
    const std::int64_t kind = random.in(0, 99);
    kernels::Problem problem = kind < 65   ? random_conv(random)
                               : kind < 75 ? random_dense(random)
                               : kind < 88 ? random_pool(random)
                                           : random_pointwise(random);
    cases.push_back({"random_" + std::to_string(i), std::move(problem)});
  }
  return cases;
}

}  // namespace resnet::test
