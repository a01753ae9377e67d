#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "resnet_engine/error.hpp"
#include "resnet_engine/export.hpp"
#include "resnet_engine/model.hpp"
#include "resnet_engine/tensor.hpp"

namespace resnet {

/// Arithmetic of the multiplications, named honestly: fp32 is fp32, never TF32.
enum class Precision : std::uint8_t { fp32, tf32, fp16, bf16, int8, fp8 };

/// Which intermediate values stay readable after a run.
enum class Retain : std::uint8_t {
  none,   ///< only the output; memory is reused
  names,  ///< the values in SessionOptions::retain_names; fusion stops at each of them
  steps,  ///< every step's output under the name of its last source layer; fusion as it is, no memory reuse
};

/// Whether our GPU kernels prove themselves on small exact problems before a plan uses them. Each does so once per
/// binary, driver and device, in milliseconds; the result is kept (docs/cli.md, "Self-test"). One that fails is
/// reported in the log and in describe_json() and not used. Says nothing on a CPU, whose kernels are its library's.
enum class SelfTest : std::uint8_t {
  unrecorded,  ///< on architectures for which this version has no record of a passed run on hardware
  always,
  never,
};

struct SessionOptions {
  std::string device =
      "auto";  ///< "auto", "cpu", "cuda", "cuda:N" or "reference"; only "auto" falls back, and says why
  Precision precision = Precision::fp32;
  std::map<std::string, Precision> layer_precision = {};  ///< overrides per source layer name
  int threads = 0;                                        ///< CPU threads; 0 = physical cores
  bool deterministic = false;  ///< also independent of batch size and of the position in the batch
  Retain retain = Retain::none;
  std::vector<std::string> retain_names = {};
  int max_plans = 8;  ///< plans for different (N, H, W) kept at once, least recently used dropped
  /// Implementations by their names in describe_json(), for tests and comparisons. A forced one is taken for every
  /// layer that it supports (an error where it then cannot), a forbidden one for none; changes of form can be neither.
  std::vector<std::string> force_implementations = {}, forbid_implementations = {};
  /// A file of measured times for this device (docs/cli.md, "Measured times"): implementations are chosen by them where
  /// it holds the problem, above the times that come with the library. Ignored with `deterministic`.
  std::string times_file = {};
  SelfTest self_test = SelfTest::unrecorded;
  /// A uint8 input is a picture as preprocess_image() writes it: the model's scale, mean and std are applied on the
  /// device, up to float32 rounding what preprocess_image() computes. Off: uint8 is taken as 0..255.
  bool normalize_uint8 = false;
};

/// One model on one device with its own arena. Cheap: weights are shared with every other Session of the Model.
/// A Session belongs to one thread at a time; a second thread gets Error busy instead of undefined behaviour.
class RESNET_ENGINE_API Session {
 public:
  /// @throws Error device_unavailable, unsupported (precision; normalize_uint8 without preprocessing in the model),
  ///         out_of_memory, invalid_argument for options that the
  ///         model or the device does not know (with the nearest name) and a times_file of another device, io,
  ///         bad_header, limit_exceeded, overflow for one that is missing or damaged (with file and key), and on first
  ///         use of the weights checksum, nonfinite_weight, bad_batch_norm, file_changed
  explicit Session(const Model& model, SessionOptions options = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  /// Makes the plan for this input size ahead of the first run. On a GPU the network runs once, and what later runs
  /// with host tensors of float32 NHWC replay is recorded.
  void prepare(std::int64_t n, std::int64_t h, std::int64_t w);

  /// Runs the network on `input` (float32, or uint8 as SessionOptions::normalize_uint8 says; NHWC or NCHW; N x H x W x
  /// C) and writes the final output to `output` (float32, N x 1 x 1 x output_size). Allocates nothing once the size's
  /// plan exists. Bit-identical for identical input, shape, device and options. Returns when the output is written. On
  /// a GPU either tensor may lie in that GPU's memory (MemoryKind::device); what other streams do to it must be over.
  /// @throws Error invalid_argument on wrong shapes or types, busy, bad_geometry when the layers refuse the size,
  ///         device_failed with CUDA's own error; after one that is sticky, every later run of the process fails too
  void run(const ConstTensorView& input, const TensorView& output);

  /// On a GPU: run() on a stream of the caller's, a cudaStream_t of that GPU (null is the legacy default stream).
  /// Returns when the work is enqueued; both tensors lie in that GPU's memory and stay until the stream is past it. The
  /// next call of this Session waits for it on the device, whatever its stream. The first call for a size and kind of
  /// tensors makes the plan and waits. Not while the stream is being captured.
  /// @throws Error as run(); invalid_argument for a host tensor or a stream under capture, unsupported on other devices
  void enqueue(const ConstTensorView& input, const TensorView& output, void* stream);

  /// A value kept by SessionOptions::retain from the last run: float32, NHWC, host memory. Valid until the next call.
  /// @throws Error invalid_argument with the nearest retained name
  ConstTensorView retained(const std::string& name) const;
  std::vector<std::string> retained_names() const;

  /// Where the time of one run went, microseconds.
  struct RunTimes {
    double total_us = 0;              ///< of run_timed() as its caller sees it
    std::optional<double> host_us;    ///< until the calling thread had nothing left but to wait for the device
    std::optional<double> device_us;  ///< copies and kernels by the device's own clock
  };
  /// run() with a clock on it, which costs two events. Where the calling thread computes itself (on a CPU), only the
  /// total is known. @throws Error as run()
  RunTimes run_timed(const ConstTensorView& input, const TensorView& output);

  /// Device that this Session really uses, for example "cpu" or "cuda:0", and why when "auto" chose.
  const std::string& device() const;
  const std::string& device_reason() const;

  /// Steps, chosen implementations, refusals, arena and lower bound of the current plan as JSON (docs/cli.md).
  std::string describe_json() const;

  /// Runs the current plan `iterations` times on a constant input and returns per-step times as JSON (docs/cli.md).
  /// Retained values are gone afterwards, until the next run().
  std::string profile(int iterations);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// One line of a classification.
struct Prediction {
  std::int64_t index = 0;
  float score = 0;  ///< probability
  float logit = 0;  ///< the network's own output; log(score) where the network ends in a softmax
  std::string label;
};

/// The `k` best classes of one output row, best first, ties by lower index. Softmax is applied where the model has
/// none.
RESNET_ENGINE_API std::vector<Prediction> top_k(const Model& model, std::span<const float> output_row, int k);

}  // namespace resnet
