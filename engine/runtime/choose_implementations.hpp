#pragma once

#include "backends/backend.hpp"
#include "plan/plan.hpp"
#include "resnet_engine/session.hpp"

namespace resnet {

/// What the caller forces and forbids, as the planner takes it.
/// @throws Error invalid_argument for a name that the backend does not have, with the nearest one, for a conversion,
/// and
///         for one that is both forced and forbidden
void choose_implementations(const SessionOptions& options, const Backend& backend, PlanOptions& plan);

}  // namespace resnet
