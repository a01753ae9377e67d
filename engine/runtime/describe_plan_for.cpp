#include "backends/backend.hpp"
#include "base/check.hpp"
#include "plan/times_table.hpp"
#include "resnet_engine/planning.hpp"
#include "runtime/device_text.hpp"
#include "runtime/session_plan.hpp"

namespace resnet {

std::string describe_plan_for(const Model& model, const std::string& device_info, std::int64_t n, std::int64_t h,
                              std::int64_t w, const SessionOptions& options) {
  if (n < 1 || h < 1 || w < 1) fail(ErrorCode::invalid_argument, "N, H and W must be at least 1", "describe_plan_for");
  if (options.threads < 0) fail(ErrorCode::invalid_argument, "threads must not be negative", "SessionOptions::threads");
  const DeviceInfo device = parse_device_info(device_info);
  std::shared_ptr<Backend> backend;
  for (const BackendEntry& entry : backend_list()) {
    if (entry.planner != nullptr) backend = entry.planner(device);
  }
  ensure(backend != nullptr, "a backend plans for GPUs");
  if (const Support precise = backend->supports_precision(options.precision); !precise)
    fail(ErrorCode::unsupported, precise.reason, "device " + device_info);

  const detail::ModelState& state = *model.state();
  const int threads = options.threads > 0 ? options.threads : detect_cpu().cores;
  PlanOptions plan_options = session_plan_options(state, options, *backend, threads);
  plan_options.stage_input = true;
  const auto times = measured_times(device, embedded_times(), options.times_file);
  plan_options.measured = times.get();
  const auto plan =
      make_plan(optimise(state.graph(), PassOptions{plan_options.retain_names}), n, h, w, *backend, plan_options);
  return session_plan_json(state, *plan, *backend,
                           {device_info, "planned without the device", options.precision, threads})
      .dump(2);
}

}  // namespace resnet
