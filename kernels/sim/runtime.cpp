#include "kernels/sim/runtime.hpp"

#include <algorithm>

namespace resnet::sim {

Runtime& runtime() {
  static Runtime instance;
  return instance;
}

Runtime::Runtime() { set_devices({PretendDevice{}}); }

void Runtime::set_devices(std::vector<PretendDevice> properties) {
  reset();
  devices.clear();
  for (std::size_t i = 0; i < properties.size(); ++i) {
    Device device;
    device.properties = std::move(properties[i]);
    device.legacy = std::make_unique<CUstream_st>();
    device.legacy->device = static_cast<int>(i);
    device.legacy->legacy = true;
    devices.push_back(std::move(device));
  }
}

void Runtime::reset() {
  streams_.clear();
  retired_.clear();
  unfinished_.clear();
  events_.clear();
  graphs_.clear();
  graph_execs_.clear();
  captures_.clear();
  pinned.clear();
  shared_limits.clear();
  for (Device& device : devices) {
    device.sticky = cudaSuccess;
    device.legacy->queue.clear();
    device.legacy->completed = device.legacy->enqueued;
    device.legacy->capture.reset();
  }
  device_memory().release_all();
  clear_reports();
}

cudaStream_t Runtime::find_stream(cudaStream_t handle) {
  const auto found = streams_.find(handle);
  return found == streams_.end() ? nullptr : found->second.get();
}

bool Runtime::is_pinned(const void* address, std::size_t bytes) const {
  const auto after = pinned.upper_bound(address);
  if (after == pinned.begin()) return false;
  const auto& [data, region] = *std::prev(after);
  const auto offset =
      static_cast<std::size_t>(static_cast<const std::byte*>(address) - static_cast<const std::byte*>(data));
  return offset <= region.second && bytes <= region.second - offset;
}

void Runtime::retire(cudaStream_t stream) {
  const auto found = streams_.find(stream);
  if (stream->completed < stream->enqueued) unfinished_.push_back(stream);
  retired_.push_back(std::move(found->second));
  streams_.erase(found);
}

bool Runtime::run_one(cudaStream_t stream) {
  if (stream->queue.empty()) return false;
  const CUstream_st::Operation operation = std::move(stream->queue.front());
  stream->queue.pop_front();
  Device& device = devices[static_cast<std::size_t>(stream->device)];
  // After a fault nothing runs on the device any more.
  if (device.sticky == cudaSuccess) {
    const cudaError_t error = operation.run();
    if (error != cudaSuccess && device.sticky == cudaSuccess) device.sticky = error;
  }
  ++stream->completed;
  return true;
}

void Runtime::drain(cudaStream_t stream, std::uint64_t position) {
  while (stream->completed < position && run_one(stream)) {
  }
}

void Runtime::drain_device(int device) {
  drain(devices[static_cast<std::size_t>(device)].legacy.get());
  for (const auto& [handle, stream] : streams_)
    if (stream->device == device) drain(handle);
  for (const cudaStream_t stream : unfinished_)
    if (stream->device == device) drain(stream);
  std::erase_if(unfinished_, [](cudaStream_t stream) { return stream->completed == stream->enqueued; });
}

cudaError_t Runtime::enqueue(cudaStream_t stream, std::function<cudaError_t()> work) {
  if (stream->capture) {
    Capture& capture = *stream->capture;
    if (capture.invalid) return cudaErrorStreamCaptureInvalidated;
    capture.graph.nodes.push_back(
        {std::move(work), {stream->frontier.begin(), stream->frontier.end()}, std::make_shared<CUgraphNode_st>()});
    stream->frontier = {capture.graph.nodes.size() - 1};
    return cudaSuccess;
  }
  const auto follow = [&](cudaStream_t other) {
    if (other->completed == other->enqueued) return;
    const std::uint64_t position = other->enqueued;
    stream->queue.push_back({[this, other, position] {
      drain(other, position);
      return cudaSuccess;
    }});
    ++stream->enqueued;
  };
  // The legacy stream and the blocking streams of a device wait for each other.
  if (stream->legacy) {
    for (const auto& [handle, other] : streams_) {
      if (other->device != stream->device || other->non_blocking) continue;
      if (other->capture) {
        other->capture->invalid = true;
        return cudaErrorStreamCaptureImplicit;
      }
      follow(handle);
    }
    for (const cudaStream_t other : unfinished_)
      if (other->device == stream->device && !other->non_blocking) follow(other);
  } else if (!stream->non_blocking) {
    follow(devices[static_cast<std::size_t>(stream->device)].legacy.get());
  }
  stream->queue.push_back({std::move(work)});
  ++stream->enqueued;
  if (schedule.streams == StreamPolicy::immediate) drain(stream);
  return cudaSuccess;
}

cudaError_t Runtime::record(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream;
  event->capture = stream->capture;
  if (stream->capture) {
    if (stream->capture->invalid) return cudaErrorStreamCaptureInvalidated;
    event->frontier = stream->frontier;
    return cudaSuccess;
  }
  auto time = std::make_shared<std::chrono::steady_clock::time_point>();
  event->time = time;
  const cudaError_t error = enqueue(stream, [time] {
    *time = std::chrono::steady_clock::now();
    return cudaSuccess;
  });
  event->position = stream->enqueued;
  return error;
}

cudaError_t Runtime::wait(cudaStream_t stream, cudaEvent_t event) {
  if (event->capture) {
    if (stream->capture && stream->capture != event->capture) {
      stream->capture->invalid = event->capture->invalid = true;
      return cudaErrorStreamCaptureMerge;
    }
    if (event->capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (stream->legacy) return cudaErrorStreamCaptureImplicit;
    // The stream joins the capture.
    stream->capture = event->capture;
    stream->frontier.insert(event->frontier.begin(), event->frontier.end());
    return cudaSuccess;
  }
  if (stream->capture) {
    if (!event->stream) return cudaSuccess;
    stream->capture->invalid = true;
    return cudaErrorStreamCaptureIsolation;
  }
  if (!event->stream) return cudaSuccess;
  const cudaStream_t other = event->stream;
  const std::uint64_t position = event->position;
  return enqueue(stream, [this, other, position] {
    drain(other, position);
    return cudaSuccess;
  });
}

cudaError_t Runtime::begin_capture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (stream->legacy) return cudaErrorStreamCaptureUnsupported;
  if (stream->capture) return cudaErrorIllegalState;
  auto capture = std::make_shared<Capture>();
  capture->origin = stream;
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  stream->capture = capture;
  stream->frontier.clear();
  std::erase_if(captures_, [](const auto& old) { return old.expired(); });
  captures_.push_back(capture);
  return cudaSuccess;
}

cudaError_t Runtime::end_capture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  const std::shared_ptr<Capture> capture = stream->capture;
  if (!capture) return cudaErrorIllegalState;
  if (capture->origin != stream) return cudaErrorStreamCaptureUnmatched;
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id()) {
    return cudaErrorStreamCaptureWrongThread;
  }
  // Every node must be before the end of the origin stream.
  CUgraph_st& captured = capture->graph;
  std::vector<bool> joined(captured.nodes.size(), false);
  for (const std::size_t node : stream->frontier) joined[node] = true;
  for (std::size_t i = captured.nodes.size(); i-- > 0;) {
    if (!joined[i]) continue;
    for (const std::size_t before : captured.nodes[i].behind) joined[before] = true;
  }
  const bool all_joined = std::find(joined.begin(), joined.end(), false) == joined.end();
  leave_capture(capture);
  if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
  if (!all_joined) return cudaErrorStreamCaptureUnjoined;
  auto owned = std::make_unique<CUgraph_st>(std::move(captured));
  *graph = owned.get();
  graphs_[*graph] = std::move(owned);
  return cudaSuccess;
}

void Runtime::leave_capture(const std::shared_ptr<Capture>& capture) {
  for (const auto& [handle, stream] : streams_) {
    if (stream->capture != capture) continue;
    stream->capture.reset();
    stream->frontier.clear();
  }
  for (const auto& [handle, event] : events_) {
    if (event->capture != capture) continue;
    event->capture.reset();
    event->stream = nullptr;
  }
}

cudaError_t Runtime::launch_graph(const CUgraph_st& graph, cudaStream_t stream) {
  // By value: the graph may be destroyed while it is enqueued.
  return enqueue(stream, [this, graph]() -> cudaError_t {
    // Any order that the dependencies allow is legal.
    const std::size_t count = graph.nodes.size();
    std::vector<std::size_t> open(count), ready;
    std::vector<std::vector<std::size_t>> followers(count);
    for (std::size_t i = 0; i < count; ++i) {
      open[i] = graph.nodes[i].behind.size();
      for (const std::size_t before : graph.nodes[i].behind) followers[before].push_back(i);
      if (open[i] == 0) ready.push_back(i);
    }
    while (!ready.empty()) {
      const std::size_t pick = schedule.seed == 0 ? 0 : random.below(static_cast<std::uint32_t>(ready.size()));
      const std::size_t node = ready[pick];
      ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(pick));
      const cudaError_t error = graph.nodes[node].run();
      if (error != cudaSuccess) return error;
      for (const std::size_t follower : followers[node])
        if (--open[follower] == 0) ready.push_back(follower);
    }
    return cudaSuccess;
  });
}

cudaError_t Runtime::check_capture() {
  for (const std::weak_ptr<Capture>& weak : captures_) {
    const std::shared_ptr<Capture> capture = weak.lock();
    if (!capture || capture->origin->capture != capture) continue;
    const bool concerned =
        capture->mode == cudaStreamCaptureModeGlobal ||
        (capture->mode == cudaStreamCaptureModeThreadLocal && capture->thread == std::this_thread::get_id());
    if (!concerned) continue;
    capture->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  return cudaSuccess;
}

cudaError_t Runtime::refuse_in_capture(cudaStream_t stream) {
  if (!stream->capture) return cudaSuccess;
  stream->capture->invalid = true;
  return cudaErrorStreamCaptureUnsupported;
}

void set_schedule(const Schedule& schedule) {
  const std::lock_guard lock(runtime().mutex);
  runtime().schedule = schedule;
  runtime().random = Random(schedule.seed);
  runtime().launches = 0;
}

Schedule schedule() {
  const std::lock_guard lock(runtime().mutex);
  return runtime().schedule;
}

void set_devices(std::vector<PretendDevice> devices) {
  const std::lock_guard lock(runtime().mutex);
  runtime().set_devices(std::move(devices));
}

void reset() {
  const std::lock_guard lock(runtime().mutex);
  runtime().reset();
}

std::size_t allocated_bytes() {
  const std::lock_guard lock(runtime().mutex);
  std::size_t sum = 0;
  for (std::size_t i = 0; i < runtime().devices.size(); ++i) sum += device_memory().used(static_cast<int>(i));
  return sum;
}

}  // namespace resnet::sim
