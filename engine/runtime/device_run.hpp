#pragma once

#include "resnet_engine/tensor.hpp"
#include "runtime/plan_cache.hpp"

namespace resnet {

/// Runs a plan on a device whose memory the host does not see: the input into the arena, the steps, the output out of
/// it. The first run of a route enqueues step by step, which loads code and makes what a library keeps per stream;
/// where the backend records, it records the route then, and later runs replay it. With `stream` it returns when
/// everything is enqueued there, and both tensors lie on the device.
/// @throws Error out_of_memory, device_failed
void run_on_device(Backend& backend, PlanCache& plans, ReadyPlan& plan, int threads, const ConstTensorView& input,
                   const TensorView& output, const CallerStream* stream);

}  // namespace resnet
