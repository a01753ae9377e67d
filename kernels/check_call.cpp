// What a call of any kernel must fulfil.

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/dtype.hpp"
#include "kernels/kernel.hpp"

namespace resnet::kernels {
namespace {

struct Size {
  const char* name;
  std::int64_t value;
};

Support at_least(std::int64_t least, std::initializer_list<Size> sizes) {
  const auto wrong = std::find_if(sizes.begin(), sizes.end(), [&](const Size& size) { return size.value < least; });
  if (wrong == sizes.end()) return Support::yes();
  return Support::no(std::string(wrong->name) + " must be at least " + std::to_string(least) + ", is " +
                     std::to_string(wrong->value));
}

Support both(Support first, const Support& second) { return first ? second : first; }

template <class P>
Support check_pads(const P& p) {
  return at_least(
      0, {{"pad_top", p.pad_top}, {"pad_left", p.pad_left}, {"pad_bottom", p.pad_bottom}, {"pad_right", p.pad_right}});
}

Support check(const ConvProblem& p) {
  const Support sizes = both(at_least(1, {{"N", p.N},
                                          {"H", p.H},
                                          {"W", p.W},
                                          {"C", p.C},
                                          {"K", p.K},
                                          {"R", p.R},
                                          {"S", p.S},
                                          {"P", p.P},
                                          {"Q", p.Q},
                                          {"groups", p.groups},
                                          {"stride_h", p.stride_h},
                                          {"stride_w", p.stride_w},
                                          {"dilation_h", p.dilation_h},
                                          {"dilation_w", p.dilation_w}}),
                             check_pads(p));
  if (!sizes) return sizes;
  if (p.C % p.groups == 0 && p.K % p.groups == 0) return Support::yes();
  return Support::no("groups must divide C and K, is " + std::to_string(p.groups));
}
Support check(const DenseProblem& p) { return at_least(1, {{"N", p.N}, {"C", p.C}, {"K", p.K}}); }
Support check(const PoolProblem& p) {
  return both(at_least(1, {{"N", p.N},
                           {"H", p.H},
                           {"W", p.W},
                           {"C", p.C},
                           {"R", p.R},
                           {"S", p.S},
                           {"P", p.P},
                           {"Q", p.Q},
                           {"stride_h", p.stride_h},
                           {"stride_w", p.stride_w}}),
              check_pads(p));
}
Support check(const AdaptivePoolProblem& p) {
  return at_least(1, {{"N", p.N}, {"H", p.H}, {"W", p.W}, {"C", p.C}, {"P", p.P}, {"Q", p.Q}});
}
Support check(const PointwiseProblem& p) {
  return at_least(1, {{"N", p.N}, {"positions_per_image", p.positions_per_image}, {"C", p.C}});
}
Support check(const PadProblem& p) {
  return both(at_least(1, {{"N", p.N}, {"H", p.H}, {"W", p.W}, {"C", p.C}}), check_pads(p));
}
Support check(const SoftmaxProblem& p) { return at_least(1, {{"rows", p.rows}, {"C", p.C}}); }
Support check(const TopKProblem& p) { return at_least(1, {{"rows", p.rows}, {"C", p.C}, {"k", p.k}}); }
Support check(const ConvertProblem& p) {
  const Dims& dims = p.in.dims;
  return at_least(1, {{"N", dims.n}, {"H", dims.h}, {"W", dims.w}, {"C", dims.c}});
}
Support check(const PoolDenseProblem& p) {
  return at_least(1, {{"N", p.N}, {"H", p.H}, {"W", p.W}, {"C", p.C}, {"K", p.K}});
}

/// An operand that a problem has, and what its address must be a multiple of.
struct Needed {
  const void* address;
  std::size_t alignment;
  bool needed = true;
};

cudaError_t check_all(std::initializer_list<Needed> operands) {
  for (const Needed& operand : operands) {
    if (operand.needed && !operand.address) return cudaErrorInvalidValue;
  }
  for (const Needed& operand : operands) {
    if (operand.needed && reinterpret_cast<std::uintptr_t>(operand.address) % operand.alignment != 0)
      return cudaErrorMisalignedAddress;
  }
  return cudaSuccess;
}

cudaError_t check_epilogue(const EpilogueProblem& epilogue, DType out, const Operands& o) {
  return check_all({{o.y, size_of(out)},
                    {o.scale, sizeof(float), epilogue.scale},
                    {o.shift, sizeof(float), epilogue.shift},
                    {o.second, size_of(out), epilogue.residual}});
}

/// A layer with a filter.
template <class P>
cudaError_t check_layer(const P& p, const Operands& o) {
  const cudaError_t error = check_all({{o.x, size_of(p.in)}, {o.weight, size_of(p.in)}});
  return error == cudaSuccess ? check_epilogue(p.epilogue, p.out, o) : error;
}

cudaError_t check_in_out(DType in, DType out, const Operands& o) {
  return check_all({{o.x, size_of(in)}, {o.y, size_of(out)}});
}

cudaError_t check(const ConvProblem& p, const Operands& o) { return check_layer(p, o); }
cudaError_t check(const DenseProblem& p, const Operands& o) { return check_layer(p, o); }
cudaError_t check(const PoolDenseProblem& p, const Operands& o) { return check_layer(p, o); }
cudaError_t check(const PoolProblem& p, const Operands& o) { return check_in_out(p.dtype, p.dtype, o); }
cudaError_t check(const AdaptivePoolProblem& p, const Operands& o) { return check_in_out(p.in, p.out, o); }
cudaError_t check(const PadProblem& p, const Operands& o) { return check_in_out(p.dtype, p.dtype, o); }
cudaError_t check(const SoftmaxProblem& p, const Operands& o) { return check_in_out(p.in, p.out, o); }
cudaError_t check(const PointwiseProblem& p, const Operands& o) {
  const cudaError_t error = check_all({{o.x, size_of(p.in)}, {o.second, size_of(p.in), p.kind != PointwiseKind::copy}});
  return error == cudaSuccess ? check_epilogue(p.epilogue, p.out, o) : error;
}
cudaError_t check(const TopKProblem& p, const Operands& o) {
  return check_all({{o.x, size_of(p.in)}, {o.y, sizeof(float)}, {o.indices, sizeof(std::int32_t)}});
}
cudaError_t check(const ConvertProblem& p, const Operands& o) {
  return check_all({{o.x, size_of(p.in.dtype)},
                    {o.y, size_of(p.out.dtype)},
                    {o.scale, sizeof(float), p.scale_shift},
                    {o.shift, sizeof(float), p.scale_shift}});
}

}  // namespace

Support check_sizes(const Problem& problem) {
  return std::visit([](const auto& own) { return check(own); }, problem);
}

cudaError_t check_operands(const Problem& problem, const Operands& operands) {
  return std::visit([&](const auto& own) { return check(own, operands); }, problem);
}

}  // namespace resnet::kernels
