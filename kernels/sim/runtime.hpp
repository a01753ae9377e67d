#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "kernels/sim/internal.hpp"
#include "kernels/sim/memory.hpp"

/// Streams, events and graphs behind the table of CUDA calls.

/// A graph under capture or captured: nodes in the order of capture, each behind those it depends on.
struct CUgraphNode_st {
  struct Copy {
    bool to_device = false, from_device = false;
  };
  std::optional<Copy> copy;  ///< of a node that copies
};

struct CUgraph_st {
  struct Node {
    std::function<cudaError_t()> run;
    std::vector<std::size_t> behind;
    std::shared_ptr<CUgraphNode_st> handle;  ///< the same in what is instantiated from the graph
  };
  std::vector<Node> nodes;
};

struct CUgraphExec_st {
  CUgraph_st graph;
};

namespace resnet::sim {

struct Capture {
  cudaStream_t origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  CUgraph_st graph;
  bool invalid = false;
};

}  // namespace resnet::sim

struct CUstream_st {
  struct Operation {
    std::function<cudaError_t()> run;
  };
  int device = 0;
  bool legacy = false, non_blocking = false;
  std::deque<Operation> queue;
  std::uint64_t enqueued = 0, completed = 0;
  std::shared_ptr<resnet::sim::Capture> capture;
  std::set<std::size_t> frontier;  ///< nodes of the capture that the next one comes behind
};

struct CUevent_st {
  bool timing = true;
  int device = 0;
  cudaStream_t stream = nullptr;  ///< of the last record, null: none
  std::uint64_t position = 0;     ///< complete when the stream has completed so many
  std::shared_ptr<std::chrono::steady_clock::time_point> time;
  std::shared_ptr<resnet::sim::Capture> capture;
  std::set<std::size_t> frontier;
};

namespace resnet::sim {

/// All state behind the CUDA calls but memory and the running grid. Its members are called with the mutex held.
class Runtime {
 public:
  struct Device {
    PretendDevice properties;
    cudaError_t sticky = cudaSuccess;
    std::unique_ptr<CUstream_st> legacy;
  };

  Runtime();
  void set_devices(std::vector<PretendDevice> devices);
  void reset();

  /// The stream behind a handle other than the legacy one, null for an invalid one.
  cudaStream_t find_stream(cudaStream_t handle);
  /// Whether the bytes lie in memory of cudaMallocHost.
  bool is_pinned(const void* address, std::size_t bytes) const;
  /// Makes the handle invalid. The object stays: its work is still to be done, events and enqueued waits may know it.
  void retire(cudaStream_t stream);
  bool known(cudaEvent_t event) const { return events_.count(event) != 0; }

  cudaError_t enqueue(cudaStream_t stream, std::function<cudaError_t()> work);
  /// Runs what is enqueued up to `position`, and what that depends on.
  void drain(cudaStream_t stream, std::uint64_t position);
  void drain(cudaStream_t stream) { drain(stream, stream->enqueued); }
  void drain_device(int device);
  bool run_one(cudaStream_t stream);

  cudaError_t record(cudaEvent_t event, cudaStream_t stream);
  cudaError_t wait(cudaStream_t stream, cudaEvent_t event);
  cudaError_t begin_capture(cudaStream_t stream, cudaStreamCaptureMode mode);
  cudaError_t end_capture(cudaStream_t stream, cudaGraph_t* graph);
  /// Takes all streams and events out of it.
  void leave_capture(const std::shared_ptr<Capture>& capture);
  cudaError_t launch_graph(const CUgraph_st& graph, cudaStream_t stream);
  /// cudaSuccess where no capture forbids this thread a call that touches the whole device; else ends that capture.
  cudaError_t check_capture();
  cudaError_t refuse_in_capture(cudaStream_t stream);

  std::mutex mutex;
  std::vector<Device> devices;
  Schedule schedule;
  std::uint64_t launches = 0;
  std::map<const void*, std::size_t> shared_limits;  ///< per kernel: set_max_dynamic_shared_bytes()
  std::map<const void*, std::pair<std::unique_ptr<std::byte[]>, std::size_t>> pinned;

  std::map<cudaStream_t, std::unique_ptr<CUstream_st>> streams_;
  std::map<cudaEvent_t, std::unique_ptr<CUevent_st>> events_;
  std::map<cudaGraph_t, std::unique_ptr<CUgraph_st>> graphs_;
  std::map<cudaGraphExec_t, std::unique_ptr<CUgraphExec_st>> graph_execs_;
  Random random;

 private:
  std::vector<std::unique_ptr<CUstream_st>> retired_;
  std::vector<cudaStream_t> unfinished_;  ///< of the retired ones, those that may have work left
  std::vector<std::weak_ptr<Capture>> captures_;
};

Runtime& runtime();

}  // namespace resnet::sim
