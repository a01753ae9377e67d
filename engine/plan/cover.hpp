#pragma once

#include <vector>

#include "plan/candidates.hpp"

namespace resnet {

/// The cheapest set of candidates that covers every node but the input exactly once, without a cycle between sets,
/// conversions between producers and consumers included. In order of the lowest node; refusals filled in.
/// @throws Error unsupported
std::vector<ChosenStep> cheapest_cover(CandidateTable& table);

}  // namespace resnet
