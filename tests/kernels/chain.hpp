#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernel_run.hpp"
#include "support/fused_network.hpp"

namespace resnet::test {

using KernelChoice = std::function<const kernels::Kernel*(const kernels::Problem&, const DeviceInfo&)>;
/// What the engine would run.
KernelChoice selected();
/// The cheapest kernel whose name contains `text`; what the engine would run where there is none.
KernelChoice preferring(std::string_view text);

/// A network as catalog kernels that run one after the other on one stream, with seeded weights.
class Chain {
 public:
  /// The steps' problems get `types`, a last one without residual an f32 output. Integers: small weights, scales that
  /// are powers of two, so that a few layers stay exact in fp32 sums.
  Chain(std::vector<FusedStep> steps, const Types& types, bool integers, std::uint64_t seed);

  /// The last step's output in double. `rounded`: every step's operands and output rounded once as its types say, which
  /// is what perfect kernels give.
  std::vector<double> exact(bool rounded) const;

  struct Run {
    std::vector<float> y;
    std::vector<std::string> kernels;  ///< per step
    std::vector<std::string> faults;
    double seconds = 0;      ///< from the first launch until the last one is done
    double cpu_seconds = 0;  ///< of this process, meanwhile
  };
  /// @throws std::runtime_error where a step has no kernel or its launch fails
  Run run(const DeviceInfo& device, const KernelChoice& choose) const;

  const std::vector<FusedStep>& steps() const { return steps_; }

 private:
  std::vector<FusedStep> steps_;
  std::vector<HostData> data_;  ///< weights, scales and shifts; x of the first entry is the network's input
};

/// The steps of one residual block, "layer2.0", fed with the network's value in front of it.
std::vector<FusedStep> block_of(std::string_view network, std::string_view block, std::int64_t batch,
                                std::int64_t size);

}  // namespace resnet::test
