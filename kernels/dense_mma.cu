// Dense layer on the matrix unit: y [N,K] = x [N,C] w [K,C] is conv_mma's 1x1 convolution of N images of one pixel.
// Tile, pipeline, split-K, budget and refusals are conv_mma.cu's; nothing is compiled a second time.
//
// Needed by the classifier at batch sizes above those of the GEMV kernels.

#include "kernels/as_conv.hpp"
#include "kernels/kernel_list.hpp"
#include "kernels/weight_packs.hpp"

namespace resnet::kernels {
namespace {

Support supports(const DenseProblem& p, const DeviceInfo& device) { return conv_mma.supports(as_conv(p), device); }

double estimate_us(const DenseProblem& p, const DeviceInfo& device) { return conv_mma.estimate_us(as_conv(p), device); }

std::size_t workspace_bytes(const DenseProblem& p, const DeviceInfo& device) {
  return conv_mma.workspace_bytes(as_conv(p), device);
}

cudaError_t launch(const DenseProblem& p, const Operands& operands, const LaunchTarget& target) {
  return conv_mma.launch(as_conv(p), operands, target);
}

}  // namespace

extern constinit const Kernel dense_mma =
    make_kernel<DenseProblem, supports, estimate_us, workspace_bytes, launch>("dense_mma", mma_weights, Unit::matrix);

}  // namespace resnet::kernels
