#include <string>

#include "base/shape.hpp"
#include "kernels/kernel.hpp"

namespace resnet::kernels {
namespace {

std::string types(DType in, DType out) {
  std::string text = ", " + std::string(to_string(in));
  if (in != out) text += " -> " + std::string(to_string(out));
  return text;
}

std::string epilogue_text(const EpilogueProblem& epilogue) {
  std::string text;
  if (epilogue.scale) text += " + scale";
  if (epilogue.shift) text += " + shift";
  if (epilogue.residual) text += " + residual";
  if (epilogue.activation.kind != ActivationKind::none) text += " + activation";
  return text;
}

std::string pair(std::int64_t a, std::int64_t b) { return std::to_string(a) + "x" + std::to_string(b); }

std::string text(const ConvProblem& p) {
  std::string s = "conv " + to_string(Dims{p.N, p.H, p.W, p.C}) + " -> " + to_string(Dims{p.N, p.P, p.Q, p.K}) + ", " +
                  pair(p.R, p.S);
  if (p.stride_h != 1 || p.stride_w != 1) s += "/" + pair(p.stride_h, p.stride_w);
  if (p.pad_top != p.pad_bottom || p.pad_left != p.pad_right || p.pad_top != p.pad_left || p.pad_top != p.R / 2) {
    s += " pads " + pair(p.pad_top, p.pad_left) + " " + pair(p.pad_bottom, p.pad_right);
  }
  if (p.dilation_h != 1 || p.dilation_w != 1) s += " dilation " + pair(p.dilation_h, p.dilation_w);
  if (p.groups != 1) s += " groups " + std::to_string(p.groups);
  return s + types(p.in, p.out) + (p.precision == Precision::tf32 ? " (tf32)" : "") + epilogue_text(p.epilogue);
}

std::string text(const DenseProblem& p) {
  return "dense " + pair(p.N, p.C) + " -> " + pair(p.N, p.K) + types(p.in, p.out) + epilogue_text(p.epilogue);
}

std::string text(const PoolProblem& p) {
  return std::string(p.max ? "max" : "average") + " pool " + to_string(Dims{p.N, p.H, p.W, p.C}) + " -> " +
         to_string(Dims{p.N, p.P, p.Q, p.C}) + ", " + pair(p.R, p.S) + "/" + pair(p.stride_h, p.stride_w) +
         types(p.dtype, p.dtype);
}

std::string text(const AdaptivePoolProblem& p) {
  return "adaptive pool " + to_string(Dims{p.N, p.H, p.W, p.C}) + " -> " + to_string(Dims{p.N, p.P, p.Q, p.C}) +
         types(p.in, p.out);
}

std::string text(const PointwiseProblem& p) {
  constexpr const char* names[] = {"copy", "add", "multiply", "multiply channels"};
  return std::string(names[static_cast<int>(p.kind)]) + " " + to_string(Dims{p.N, p.positions_per_image, 1, p.C}) +
         types(p.in, p.out) + epilogue_text(p.epilogue);
}

std::string text(const PadProblem& p) {
  return std::string(p.reflect ? "reflect" : "zero") + " pad " + to_string(Dims{p.N, p.H, p.W, p.C}) + " by " +
         pair(p.pad_top, p.pad_left) + " and " + pair(p.pad_bottom, p.pad_right) + types(p.dtype, p.dtype);
}

std::string text(const SoftmaxProblem& p) { return "softmax " + pair(p.rows, p.C) + types(p.in, p.out); }

std::string text(const TopKProblem& p) {
  return "top " + std::to_string(p.k) + " of " + pair(p.rows, p.C) + types(p.in, p.in);
}

std::string text(const ConvertProblem& p) {
  return "convert " + to_string(p.in) + " -> " + to_string(p.out) + (p.scale_shift ? " + scale + shift" : "");
}

std::string text(const PoolDenseProblem& p) {
  return "pool and dense " + to_string(Dims{p.N, p.H, p.W, p.C}) + " -> " + pair(p.N, p.K) + types(p.in, p.out) +
         epilogue_text(p.epilogue);
}

}  // namespace

std::string to_string(const Problem& problem) {
  return std::visit([](const auto& own) { return text(own); }, problem);
}

}  // namespace resnet::kernels
