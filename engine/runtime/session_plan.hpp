#pragma once

#include <string>

#include "backends/backend.hpp"
#include "base/json.hpp"
#include "plan/plan.hpp"
#include "resnet_engine/session.hpp"
#include "runtime/model_state.hpp"

namespace resnet {

/// A session's options as the planner takes them; PlanOptions::stage_input is the caller's.
/// @throws Error invalid_argument for a layer or implementation that does not exist (with the nearest name), for an
///         implementation that is both forced and forbidden; unsupported for a precision
PlanOptions session_plan_options(const detail::ModelState& model, const SessionOptions& options, const Backend& backend,
                                 int threads);

/// What a session says of itself besides its plan.
struct SessionFacts {
  std::string device, device_reason;
  Precision precision = Precision::fp32;
  int threads = 1;
};

/// Device, input, graph, steps and memory of a plan (docs/cli.md, "plan" and "memory").
Json session_plan_json(const detail::ModelState& model, const Plan& plan, const Backend& backend,
                       const SessionFacts& facts);

}  // namespace resnet
