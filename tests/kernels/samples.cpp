#include "kernels/samples.hpp"

#include <algorithm>

namespace resnet::test {

namespace {

const std::vector<ProblemCase>& table() {
  static const std::vector<ProblemCase> cases = [] {
    std::vector<ProblemCase> all = edge_problems();
    for (ProblemCase& c : network_problems(1, Sizes::tiny)) all.push_back(std::move(c));
    return all;
  }();
  return cases;
}

const DeviceInfo* device_for(const kernels::Kernel& kernel, const kernels::Problem& problem) {
  const auto device = std::find_if(devices().begin(), devices().end(),
                                   [&](const DeviceInfo& d) { return static_cast<bool>(kernel.supports(problem, d)); });
  return device == devices().end() ? nullptr : &*device;
}

/// The smallest problem whose reduction is split or that needs scratch memory for another reason.
void add_one_with_workspace(std::vector<Sample>& samples, const kernels::Kernel& kernel) {
  constexpr std::int64_t most_work = 6000000;
  const auto needs_workspace = [&](const Sample& s) { return kernel.workspace_bytes(s.problem, *s.device) > 0; };
  if (std::any_of(samples.begin(), samples.end(), needs_workspace)) return;
  Sample best;
  for (const ProblemCase& c : table()) {
    const std::int64_t work = work_of(c.problem);
    if (work > most_work || (best.device && work >= work_of(best.problem))) continue;
    for (const Types& types : types_for(c.problem)) {
      const Sample sample{with_types(c.problem, types), device_for(kernel, with_types(c.problem, types))};
      if (!sample.device || !needs_workspace(sample)) continue;
      best = sample;
      break;
    }
  }
  if (best.device) samples.push_back(best);
}

}  // namespace

std::vector<Sample> samples_for(const kernels::Kernel& kernel, std::size_t most) {
  constexpr std::int64_t most_work = 600000;
  constexpr std::int64_t fewest_outputs = 16;
  struct Seen {
    std::size_t kind;
    Types types;
    bool residual;
    bool operator==(const Seen&) const = default;
  };
  std::vector<Seen> seen;
  std::vector<Sample> samples;
  for (const ProblemCase& c : table()) {
    if (work_of(c.problem) > most_work || operand_sizes(c.problem).y < fewest_outputs) continue;
    for (const Types& types : types_for(c.problem)) {
      const kernels::Problem problem = with_types(c.problem, types);
      const DeviceInfo* const device = device_for(kernel, problem);
      if (!device || samples.size() == most) continue;
      const EpilogueProblem* const epilogue = epilogue_of(problem);
      const Seen now{problem.index(), types, epilogue && epilogue->residual};
      if (std::find(seen.begin(), seen.end(), now) != seen.end()) continue;
      seen.push_back(now);
      samples.push_back({problem, device});
    }
  }
  add_one_with_workspace(samples, kernel);
  return samples;
}

}  // namespace resnet::test
