#include "kernels/samples.hpp"

#include <algorithm>

namespace resnet::test {

std::vector<Sample> samples_for(const kernels::Kernel& kernel, std::size_t most) {
  constexpr std::int64_t most_work = 600000;
  constexpr std::int64_t fewest_outputs = 16;
  static const std::vector<ProblemCase> table = [] {
    std::vector<ProblemCase> all = edge_problems();
    for (ProblemCase& c : network_problems(1, Sizes::tiny)) all.push_back(std::move(c));
    return all;
  }();
  struct Seen {
    std::size_t kind;
    Types types;
    bool residual;
    bool operator==(const Seen&) const = default;
  };
  std::vector<Seen> seen;
  std::vector<Sample> samples;
  for (const ProblemCase& c : table) {
    if (work_of(c.problem) > most_work || operand_sizes(c.problem).y < fewest_outputs) continue;
    for (const Types& types : types_for(c.problem)) {
      const kernels::Problem problem = with_types(c.problem, types);
      const auto device = std::find_if(devices().begin(), devices().end(), [&](const DeviceInfo& d) {
        return static_cast<bool>(kernel.supports(problem, d));
      });
      if (device == devices().end()) continue;
      const EpilogueProblem* const epilogue = epilogue_of(problem);
      const Seen now{problem.index(), types, epilogue && epilogue->residual};
      if (std::find(seen.begin(), seen.end(), now) != seen.end()) continue;
      seen.push_back(now);
      samples.push_back({problem, &*device});
      if (samples.size() == most) return samples;
    }
  }
  return samples;
}

}  // namespace resnet::test
