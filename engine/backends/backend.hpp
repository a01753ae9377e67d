#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/device_info.hpp"
#include "base/device_memory.hpp"
#include "base/support.hpp"
#include "graph/graph.hpp"
#include "model/weight_store.hpp"
#include "resnet_engine/tensor.hpp"

namespace resnet {

/// The nodes that one step computes, with everything selection may look at. A pure value: no device is touched.
struct StepProblem {
  const Graph* graph = nullptr;
  const std::vector<Dims>* shapes = nullptr;
  std::vector<NodeId> nodes;            ///< covered, ascending
  std::vector<NodeId> inputs;           ///< values from outside, each once, in order of first use
  std::vector<NodeId> outputs;          ///< covered values that are used outside, ascending
  std::vector<ValueDesc> input_descs;   ///< as they arrive, or plain NHWC in the type of the precision
  std::vector<ValueDesc> output_descs;  ///< as they shall leave: plain NHWC in that type; f32 for the network's output
  Precision precision = Precision::fp32;
  int threads = 1;
  bool deterministic = false;

  const Node& node(std::size_t i = 0) const { return graph->node(nodes[i]); }
};

/// Descriptors that an entry wants for its inputs and produces for its outputs. Where a producer's descriptor differs,
/// the planner inserts the backend's conversion step. estimate_us(), aliases() and prepare() see the problem with
/// these.
struct StepDescs {
  std::vector<ValueDesc> inputs, outputs;
};

/// `output` (index into StepProblem::outputs) may or must share its memory with `input` (index into inputs). The
/// planner grants it only where the input dies in this step; a required alias that cannot be granted rules the entry
/// out.
struct AliasRule {
  int output = 0, input = 0;
  bool required = false;
};

/// Addresses of a step's operands. They hold until the next bind(); the spans themselves only during bind().
struct StepBuffers {
  std::span<std::byte*const> inputs, outputs;  ///< order of StepProblem::inputs and outputs
  std::span<const std::byte* const> weights;   ///< order of Step::weights()
  std::byte* workspace = nullptr;              ///< 64-byte aligned, workspace_bytes() long
};

/// A prepared step: every descriptor, primitive and size is made here, nothing at run time.
class Step {
 public:
  virtual ~Step() = default;
  virtual std::size_t workspace_bytes() const { return 0; }
  /// Packed weights that the step reads.
  virtual std::span<const WeightRequest> weights() const { return {}; }
  /// Takes the addresses; called after preparing and again whenever the arena moves.
  virtual void bind(const StepBuffers& buffers) = 0;
  /// Enqueues or executes the step. Allocates nothing.
  virtual void run() = 0;
  /// Details for describe(), for example the library's own name of the kernel.
  virtual std::string detail() const { return {}; }
};

/// A stream of the caller's, on which a run is enqueued instead of the backend's own.
struct CallerStream {
  void* handle = nullptr;  ///< cudaStream_t
};

/// What a run moves and computes, in this order: the input into the arena, the steps, the output out of it.
struct RunSequence {
  struct Copy {
    std::byte* arena = nullptr;
    std::size_t bytes = 0;
    MemoryKind memory = MemoryKind::host;  ///< of the other side; host memory is that of Backend::allocate_staging()
  };
  std::optional<Copy> input, output;
  std::vector<Step*> steps;
};

/// Where the time of a run went.
struct RunTiming {
  std::chrono::steady_clock::time_point wait_began;  ///< everything was enqueued
  double device_us = 0;                              ///< between the run's begin and end, by the device's clock
};

/// A sequence recorded for replay.
class Recording {
 public:
  virtual ~Recording() = default;
  /// Enqueues it all as a part of a run, like Step::run(), with these as the copies' other sides (ignored where it has
  /// none). Addresses other than those of the last run cost a little more.
  virtual void run(const std::byte* source, std::byte* target) = 0;
};

/// One entry of a backend's ordered list. Order is priority among equal estimates; the reference entry is last.
/// All functions but `prepare` are pure; where that throws Error unsupported, the planner takes another entry.
struct Implementation {
  std::string_view name;
  /// Nodes that the entry would cover with `first` as the lowest id, or nothing.
  std::vector<NodeId> (*match)(const Graph& graph, NodeId first) = nullptr;
  /// Whether it takes the problem, and why not.
  Support (*supports)(const StepProblem& problem, const DeviceInfo& device) = nullptr;
  /// Paper model of its time.
  double (*estimate_us)(const StepProblem& problem, const DeviceInfo& device) = nullptr;
  /// Descriptors it wants; null = exactly those of the problem, which then comes with plain ones only.
  StepDescs (*descs)(const StepProblem& problem, const DeviceInfo& device) = nullptr;
  /// Aliases; null = none.
  std::vector<AliasRule> (*aliases)(const StepProblem& problem) = nullptr;
  std::unique_ptr<Step> (*prepare)(const StepProblem& problem, const DeviceInfo& device) = nullptr;
  /// A vendor's library does the work, not a kernel of ours.
  bool library = false;
};

/// A way to execute graphs on one device. Immutable after construction and thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;  ///< "cpu", "cuda", "reference"
  virtual const DeviceInfo& device() const = 0;
  virtual DeviceAllocator& allocator() = 0;
  /// Ordered list of entries.
  virtual std::span<const Implementation* const> implementations() const = 0;
  /// Makes a step that changes dtype, layout or channel padding of one value: `problem` has one input, one output and
  /// no nodes; null when the pair is not supported. Also used at the network's input and output (u8, NCHW).
  virtual const Implementation* conversion() const = 0;
  /// The same from uint8 with a factor and a summand per channel: out = in * scale[c] + shift[c]. Null where the
  /// backend has none; the host does it where it sees the device's memory.
  virtual std::unique_ptr<Step> affine_conversion(const ValueDesc& from, const ValueDesc& to,
                                                  std::span<const float> scale, std::span<const float> shift) {
    static_cast<void>(from), static_cast<void>(to), static_cast<void>(scale), static_cast<void>(shift);
    return nullptr;
  }
  virtual Support supports_precision(Precision precision) const = 0;
  /// Brackets the steps of one run on the calling thread (thread count, stream). Not nested. end_run() returns when
  /// everything in between is done, or, where begin_run() was given a stream, when it is enqueued there; the next run
  /// waits for it on the device. @throws Error device_failed, unsupported (a stream, on a device without)
  virtual void begin_run(int threads, const CallerStream* stream) = 0;
  virtual void end_run() = 0;
  /// Waits for what callers' streams still have of earlier runs. @throws Error device_failed
  virtual void settle() {}
  /// Host memory that the device copies to and from without the host's help, or null: none left, or no use for it.
  virtual std::unique_ptr<DeviceBuffer> allocate_staging(std::size_t) { return nullptr; }
  /// Copies between the device's memory and the host's as part of a run, in order with its steps. The host memory must
  /// stay until end_run().
  virtual void copy_to_device(std::byte* device, const std::byte* host, std::size_t bytes) {
    std::memcpy(device, host, bytes);
  }
  virtual void copy_to_host(std::byte* host, const std::byte* device, std::size_t bytes) {
    std::memcpy(host, device, bytes);
  }
  virtual void copy_on_device(std::byte* to, const std::byte* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
  /// Whether record() is worth calling.
  virtual bool records() const { return false; }
  /// Records a sequence whose steps have run once since they were bound, with these as the copies' other sides. Part of
  /// a run in which nothing else happens. bind() makes a recording invalid.
  virtual std::unique_ptr<Recording> record(const RunSequence&, const std::byte* source, std::byte* target) {
    static_cast<void>(source), static_cast<void>(target);
    return nullptr;
  }
  /// From now on runs on the backend's own stream are timed, or no longer. @throws Error device_failed
  virtual void time_runs(bool) {}
  /// Of the last timed run that is over; nothing where the calling thread computes itself.
  virtual std::optional<RunTiming> last_timing() const { return std::nullopt; }
  /// Runs the steps as part of a run; microseconds of each, of the device's own clock where it has one.
  virtual std::vector<double> time_steps(std::span<const std::unique_ptr<Step>> steps) {
    std::vector<double> times;
    for (const auto& step : steps) {
      const auto begin = std::chrono::steady_clock::now();
      step->run();
      times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
    }
    return times;
  }
};

/// How to get a backend for a device name; one line per backend in backend_list.cpp.
struct BackendEntry {
  std::string_view name;
  /// @throws Error device_unavailable, unsupported
  std::shared_ptr<Backend> (*create)(int device_index);
  /// Whether `create(device_index)` can succeed here, and why not.
  Support (*available)(int device_index);
  /// The devices that this process sees, usable or not; empty where available(0) says why there are none.
  std::vector<DeviceInfo> (*devices)();
  /// A backend that only plans, for a device that is not there; null where nobody asks for that.
  /// @throws Error unsupported
  std::shared_ptr<Backend> (*planner)(const DeviceInfo& device) = nullptr;
};
/// In order of preference for device "auto"; the reference backend is last.
std::span<const BackendEntry> backend_list();

}  // namespace resnet
