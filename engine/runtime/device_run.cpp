#include "runtime/device_run.hpp"

#include <cstring>

#include "runtime/backend_run.hpp"

namespace resnet {
namespace {

std::byte* bytes(const void* data) { return static_cast<std::byte*>(const_cast<void*>(data)); }

void copy_in(Backend& backend, const RunSequence::Copy& copy, const std::byte* source) {
  if (copy.memory == MemoryKind::host) return backend.copy_to_device(copy.arena, source, copy.bytes);
  backend.copy_on_device(copy.arena, source, copy.bytes);
}

void copy_out(Backend& backend, const RunSequence::Copy& copy, std::byte* target) {
  if (copy.memory == MemoryKind::host) return backend.copy_to_host(target, copy.arena, copy.bytes);
  backend.copy_on_device(target, copy.arena, copy.bytes);
}

/// Where one side of the run's tensors lies while the device works on it.
struct Side {
  RunSequence::Copy copy;
  std::byte* address = nullptr;  ///< the caller's, or the staging memory's
  bool staged = false;
  /// Whether the copy may be recorded: its memory is the device's or the staging memory.
  bool recorded() const { return staged || copy.memory == MemoryKind::device; }
};

Side make_side(std::byte* arena, std::size_t size, MemoryKind memory, std::byte* callers, std::byte* staging) {
  Side side{{arena, size, memory}, callers, memory == MemoryKind::host && staging != nullptr};
  if (side.staged) side.address = staging;
  return side;
}

}  // namespace

void run_on_device(Backend& backend, PlanCache& plans, ReadyPlan& ready, int threads, const ConstTensorView& input,
                   const TensorView& output, const CallerStream* stream) {
  const Plan& plan = *ready.plan;
  const Route route{input_kind(input.dtype, input.layout), input.memory, output.memory};
  const InputLoad& load = ready.loads[route.kind];
  const std::size_t in_bytes = static_cast<std::size_t>(input.elements()) * size_of(input.dtype);
  const std::size_t out_bytes = plan.output.desc.bytes();
  const Side in = make_side(plans.arena() + (load.plain ? load.to.offset : plan.staging), in_bytes, input.memory,
                            bytes(input.data), plans.staged_input(in_bytes));
  const Side out = make_side(plans.arena() + plan.output.offset, out_bytes, output.memory, bytes(output.data),
                             plans.staged_output(out_bytes));

  if (in.staged) std::memcpy(in.address, input.data, in_bytes);
  BackendRun running(backend, threads, stream);
  Recording* const recording = plans.recording(ready, route);
  RunSequence sequence;
  if (recording) {
    if (!in.recorded()) copy_in(backend, in.copy, in.address);
    recording->run(in.address, out.address);
    if (!out.recorded()) copy_out(backend, out.copy, out.address);
  } else {
    if (!load.plain) sequence.steps.push_back(load.conversion.get());
    for (std::size_t s = load.first_step; s < plan.steps.size(); ++s) sequence.steps.push_back(plan.steps[s].get());
    copy_in(backend, in.copy, in.address);
    for (Step* const step : sequence.steps) step->run();
    copy_out(backend, out.copy, out.address);
  }
  running.finish();
  if (out.staged) std::memcpy(output.data, out.address, out_bytes);
  if (recording || !backend.records()) return;

  if (in.recorded()) sequence.input = in.copy;
  if (out.recorded()) sequence.output = out.copy;
  BackendRun recorded(backend, threads);
  auto made = backend.record(sequence, in.address, out.address);
  recorded.finish();
  plans.keep(ready, route, std::move(made));
}

}  // namespace resnet
