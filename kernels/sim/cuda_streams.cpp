#include "kernels/sim/cuda_calls.hpp"

/// Streams, events and graphs.
namespace resnet::sim {
namespace {

/// Whether the recorded position is reached; runs up to it (`all`) or one step towards it. The errors are those of the
/// event's device, whichever is the current one.
cudaError_t event_progress(cudaEvent_t event, bool all) {
  return guarded([&](Runtime& state) -> cudaError_t {
    if (state.devices.empty()) return cudaErrorNoDevice;
    if (!state.known(event)) return cudaErrorInvalidResourceHandle;
    const cudaError_t& sticky = state.devices[static_cast<std::size_t>(event->device)].sticky;
    if (sticky != cudaSuccess) return sticky;
    if (event->capture) {
      event->capture->invalid = true;
      return cudaErrorCapturedEvent;
    }
    if (!event->stream || event->stream->completed >= event->position) return cudaSuccess;
    if (all) {
      state.drain(event->stream, event->position);
      return sticky;
    }
    state.run_one(event->stream);
    return cudaErrorNotReady;
  });
}

}  // namespace

cudaError_t stream_create(cudaStream_t* handle, unsigned flags) {
  return on_device([&](Runtime& state, Runtime::Device& device) -> cudaError_t {
    if (!handle || (flags & ~cudaStreamNonBlocking) != 0) return cudaErrorInvalidValue;
    auto stream = std::make_unique<CUstream_st>();
    stream->device = device.legacy->device;
    stream->non_blocking = (flags & cudaStreamNonBlocking) != 0;
    *handle = stream.get();
    state.streams_[*handle] = std::move(stream);
    return cudaSuccess;
  });
}

cudaError_t stream_destroy(cudaStream_t handle) {
  return guarded([&](Runtime& state) -> cudaError_t {
    const cudaStream_t stream = state.find_stream(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (const std::shared_ptr<Capture> capture = stream->capture) {
      capture->invalid = true;
      if (capture->origin == stream) state.leave_capture(capture);  // nobody else can end it
      stream->capture.reset();
      stream->frontier.clear();
    }
    state.retire(stream);  // its work still runs, but nobody waits for it
    return cudaSuccess;
  });
}

cudaError_t stream_synchronize(cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    const cudaError_t error = state.refuse_in_capture(stream);
    if (error != cudaSuccess) return error;
    state.drain(stream);
    return state.devices[static_cast<std::size_t>(stream->device)].sticky;
  });
}

cudaError_t stream_query(cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    const cudaError_t error = state.refuse_in_capture(stream);
    if (error != cudaSuccess) return error;
    // One step per question, so that whoever polls gets there.
    if (state.run_one(stream)) return cudaErrorNotReady;
    return state.devices[static_cast<std::size_t>(stream->device)].sticky;
  });
}

cudaError_t stream_wait_event(cudaStream_t handle, cudaEvent_t event, unsigned flags) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    if (!state.known(event)) return cudaErrorInvalidResourceHandle;
    if (flags != 0) return cudaErrorInvalidValue;
    return state.wait(stream, event);
  });
}

cudaError_t stream_begin_capture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) { return state.begin_capture(stream, mode); });
}

cudaError_t stream_end_capture(cudaStream_t handle, cudaGraph_t* graph) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) { return state.end_capture(stream, graph); });
}

cudaError_t stream_is_capturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return on_stream(handle, [&](Runtime&, cudaStream_t stream) {
    *status = !stream->capture           ? cudaStreamCaptureStatusNone
              : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}

cudaError_t event_create(cudaEvent_t* handle, unsigned flags) {
  return on_device([&](Runtime& state, Runtime::Device& device) -> cudaError_t {
    if (!handle || (flags & ~(cudaEventBlockingSync | cudaEventDisableTiming)) != 0) return cudaErrorInvalidValue;
    auto event = std::make_unique<CUevent_st>();
    event->timing = (flags & cudaEventDisableTiming) == 0;
    event->device = device.legacy->device;
    *handle = event.get();
    state.events_[*handle] = std::move(event);
    return cudaSuccess;
  });
}

cudaError_t event_destroy(cudaEvent_t event) {
  return guarded(
      [&](Runtime& state) { return state.events_.erase(event) == 1 ? cudaSuccess : cudaErrorInvalidResourceHandle; });
}

cudaError_t event_record(cudaEvent_t event, cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    if (!state.known(event) || event->device != stream->device) return cudaErrorInvalidResourceHandle;
    return state.record(event, stream);
  });
}

cudaError_t event_synchronize(cudaEvent_t event) { return event_progress(event, true); }
cudaError_t event_query(cudaEvent_t event) { return event_progress(event, false); }

cudaError_t event_elapsed_time(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return on_device([&](Runtime& state, Runtime::Device&) -> cudaError_t {
    for (const cudaEvent_t event : {start, end}) {
      if (!state.known(event) || !event->timing || !event->stream || event->capture) {
        return cudaErrorInvalidResourceHandle;
      }
      if (event->stream->completed < event->position) return cudaErrorNotReady;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *start->time).count();
    return cudaSuccess;
  });
}

cudaError_t graph_instantiate(cudaGraphExec_t* handle, cudaGraph_t graph, unsigned long long) {
  return on_device([&](Runtime& state, Runtime::Device&) -> cudaError_t {
    if (!handle || state.graphs_.count(graph) == 0) return cudaErrorInvalidValue;
    auto exec = std::make_unique<CUgraphExec_st>(CUgraphExec_st{*graph});
    *handle = exec.get();
    state.graph_execs_[*handle] = std::move(exec);
    return cudaSuccess;
  });
}

cudaError_t graph_upload(cudaGraphExec_t exec, cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t) {
    return state.graph_execs_.count(exec) == 1 ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t graph_launch(cudaGraphExec_t exec, cudaStream_t handle) {
  return on_stream(handle, [&](Runtime& state, cudaStream_t stream) -> cudaError_t {
    if (state.graph_execs_.count(exec) == 0) return cudaErrorInvalidValue;
    return state.launch_graph(exec->graph, stream);
  });
}

cudaError_t last_captured_node(cudaStream_t handle, cudaGraphNode_t* node) {
  return on_stream(handle, [&](Runtime&, cudaStream_t stream) -> cudaError_t {
    if (!node) return cudaErrorInvalidValue;
    if (!stream->capture || stream->capture->invalid || stream->frontier.size() != 1) return cudaErrorIllegalState;
    *node = stream->capture->graph.nodes[*stream->frontier.begin()].handle.get();
    return cudaSuccess;
  });
}

cudaError_t graph_exec_destroy(cudaGraphExec_t exec) {
  return guarded(
      [&](Runtime& state) { return state.graph_execs_.erase(exec) == 1 ? cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t graph_destroy(cudaGraph_t graph) {
  return guarded([&](Runtime& state) { return state.graphs_.erase(graph) == 1 ? cudaSuccess : cudaErrorInvalidValue; });
}

}  // namespace resnet::sim
