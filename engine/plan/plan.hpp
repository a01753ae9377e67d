#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "graph/passes.hpp"

namespace resnet {

/// A text that is equal exactly for problems of equal work: ops, attributes, weight shapes, wiring, epilogues,
/// descriptors, precision, threads; no layer names.
std::string problem_text(const StepProblem& problem);

/// Measured times that override estimates: (implementation, problem_text()) -> microseconds. A plain value. Problems
/// that are to be deterministic go by estimates: a time that holds for one batch size alone would make the choice
/// depend on it.
using MeasuredTimes = std::map<std::pair<std::string, std::string>, double>;

/// Problems that an entry refused only when it was prepared: (implementation, problem_text()) -> why.
using RefusedProblems = std::map<std::pair<std::string, std::string>, std::string>;

struct PlanOptions {
  Precision precision = Precision::fp32;
  std::map<std::string, Precision> layer_precision;
  int threads = 1;
  bool deterministic = false;
  bool stage_input = false;                         ///< room for the input as the caller has it, before step 0
  bool retain_steps = false;                        ///< Retain::steps: every step's output keeps its own memory
  std::set<std::string, std::less<>> retain_names;  ///< values that become outputs
  const MeasuredTimes* measured = nullptr;
  std::set<std::string, std::less<>> forced;                ///< entries that are taken wherever they support
  std::map<std::string, std::string, std::less<>> refused;  ///< entries that are not to be taken -> why
  RefusedProblems refused_problems;                         ///< what entries are not to be taken for -> why
};

/// An entry that was considered for a node and not taken.
struct Refusal {
  std::string implementation, reason;
};

/// One chosen step before it is prepared.
struct ChosenStep {
  const Implementation* implementation = nullptr;
  StepProblem problem;  ///< descriptors as chosen
  double estimate_us = 0;
  std::vector<Refusal> refusals;
  bool measured = false;  ///< estimate_us is a time from PlanOptions::measured
};

/// The cheapest cover of the graph by the entries' sets (estimate; ties by list order), conversions inserted, in
/// execution order. A conversion is a step without nodes whose one input and output are the same value; it stands right
/// before the first step that needs the form, or right after the producer of a retained value or of the output.
/// The plan's input arrives and its output leaves as plain NHWC f32; values that are retained exist as plain NHWC.
/// An entry with descs() is asked twice where its inputs do not arrive in canonical form (plain NHWC in the type of the
/// precision): with the descriptors as they arrive and with canonical ones. The cheaper answer counts, conversions
/// included. Conversions can be neither forced nor refused.
/// Pure. @throws Error unsupported that names the node and every refusal when a node has no entry
std::vector<ChosenStep> select_steps(const Graph& graph, const std::vector<Dims>& shapes,
                                     std::span<const Implementation* const> implementations,
                                     const Implementation* conversion, const DeviceInfo& device,
                                     const PlanOptions& options);

/// A block of arena memory needed from step `first` to step `last` (both included).
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0, last = 0;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;  ///< one per Lifetime, multiples of `arena_alignment`
  std::size_t arena_bytes = 0;
  std::size_t lower_bound_bytes = 0;  ///< max over steps of the bytes alive in it
};
inline constexpr std::size_t arena_alignment = 64;

/// Offsets such that no two lifetimes that overlap in time overlap in memory. Pure, deterministic.
MemoryPlan plan_memory(std::span<const Lifetime> lifetimes);

/// Where a value lies.
struct Placement {
  ValueDesc desc;
  std::size_t offset = 0;
  int first_step = 0, last_step = 0;
};

/// An executable plan for one (N, H, W): steps, one arena, fixed offsets.
struct Plan {
  Graph graph;  ///< specialised; problems point into it
  std::vector<Dims> shapes;
  std::vector<ChosenStep> chosen;
  std::vector<std::unique_ptr<Step>> steps;  ///< one per chosen step
  /// Per chosen step: placement of inputs, outputs and workspace.
  struct StepMemory {
    std::vector<std::size_t> inputs, outputs;
    std::size_t workspace = 0;
  };
  std::vector<StepMemory> memory;
  MemoryPlan arena;
  /// What lies where in the arena, and in which steps it is needed (both included).
  struct Block {
    std::vector<std::string> values;  ///< that share it one after the other; empty: scratch memory, staging
    std::size_t offset = 0, bytes = 0;
    int first_step = 0, last_step = 0;
  };
  std::vector<Block> blocks;
  Placement input, output;  ///< network input (f32 NHWC) and output (f32)
  /// A run may write the input in this form itself and begin at `entry_step`: 1 where step 0 only converts the input,
  /// else 0 and the same as `input`.
  Placement entry;
  std::size_t entry_step = 0;
  std::size_t staging = 0;  ///< offset of the input as it came, apart from `entry`, with PlanOptions::stage_input
  std::map<std::string, Placement> retained;  ///< by value name; plain NHWC
  /// Source layer without memory of its own -> the first value computed from it that has memory.
  std::map<std::string, std::string> absorbed;
  std::vector<WeightRequest> weights;  ///< of all steps, in step order
  RefusedProblems refused_problems;    ///< those of the options and what was refused since, for the next plan
};

/// Selection, preparation and memory planning for one size. `optimised` comes from optimise() with the same retain
/// names. Where prepare() of an entry throws `unsupported`, that is a refusal like any other: the next best cover
/// without it is taken. A forced entry and a conversion have no next one. The input lies at Plan::input before step 0;
/// the output and retained values stay until the next run. A value whose alias is granted shares the memory of the one
/// that it overwrites. With retain_steps no value shares memory with another. Overrides in PlanOptions::layer_precision
/// for layers that the graph does not hold have no effect.
/// @throws Error bad_geometry, unsupported, invalid_argument for a retain name that no value of the graph has (names
///         the value that absorbed it, or the nearest name), what prepare() throws but `unsupported`
std::unique_ptr<Plan> make_plan(const Graph& optimised, std::int64_t n, std::int64_t h, std::int64_t w,
                                Backend& backend, const PlanOptions& options);

/// Binds all steps of a plan to an arena and to packed weights (order of Plan::weights).
void bind_plan(Plan& plan, std::byte* arena, std::span<const std::byte* const> weights);

/// Steps, refusals, memory as JSON text (docs/cli.md, "memory plan"): {"steps": [...], "memory": {...}}. A conversion
/// has no layers and a member "converts" that names its value.
std::string describe_plan_json(const Plan& plan);

}  // namespace resnet
