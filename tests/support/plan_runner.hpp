#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "plan/plan.hpp"
#include "support/random_graph.hpp"

namespace resnet::test {

/// A plan on a backend with its arena and packed weights, without a model file or a session.
class PlanRunner {
 public:
  PlanRunner(const Graph& optimised, const Dims& input, Backend& backend, const PlanOptions& options,
             const WeightMap& weights);

  /// Runs once in an arena that was filled with NaN; returns the network's output.
  std::vector<float> run(const std::vector<float>& input);
  /// A retained f32 value of the last run.
  std::vector<float> retained(const std::string& name) const;
  const Plan& plan() const { return *plan_; }

 private:
  std::vector<float> read(const Placement& place) const;

  Backend& backend_;
  int threads_;
  std::unique_ptr<Plan> plan_;
  std::vector<std::unique_ptr<DeviceBuffer>> weights_;
  std::unique_ptr<DeviceBuffer> arena_;
};

/// Relative L2 distance of a result from the oracle's; infinite where a value is not finite.
double relative_error(const std::vector<float>& result, const std::vector<double>& exact);

}  // namespace resnet::test
