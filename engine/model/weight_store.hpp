#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "base/device_memory.hpp"
#include "model/model_file.hpp"

namespace resnet {

/// A tensor's values while it is packed: f32, finite, in file order.
struct TensorValues {
  const StoredTensor* info = nullptr;
  std::span<const float> values;
};

/// Wish for one packed weight. Requests of equal `tensors` and `format` share one buffer per device.
struct WeightRequest {
  std::vector<std::string> tensors;  ///< what `pack` reads, in this order
  std::string format;     ///< names layout, precision and everything folded in ("onednn:OIhw8i8o:f32+bn(bn1)")
  std::size_t bytes = 0;  ///< size of the packed form
  /// Fills `out` (bytes long, 64-byte aligned host memory). Runs on any thread, several requests at once. Empty: the
  /// packed form is the one tensor as f32 in file order, read straight into the buffer.
  std::function<void(std::span<const TensorValues>, std::byte* out)> pack;
};

/// The values of one of `tensors` by its name, as evaluate_affine() asks for them. @throws Error internal
std::function<std::span<const float>(const std::string&)> lookup_by_name(std::span<const TensorValues> tensors);

/// scale and shift of a chain of affine stages over `channels` channels, evaluated in double:
/// y = scale[c] x + shift[c]. `lookup` yields a tensor's `channels` values by name. Zero and denormal variances are
/// legal as long as var + eps > 0. Every scale and shift fits into f32.
/// @throws Error nonfinite_weight, bad_batch_norm; both name layer, tensor and channel
struct ScaleShift {
  std::vector<double> scale, shift;
};
ScaleShift evaluate_affine(std::span<const AffineStage> stages, std::size_t channels,
                           const std::function<std::span<const float>(const std::string&)>& lookup);
/// The tensors that the stages read, in order, without repeats.
std::vector<std::string> affine_tensors(std::span<const AffineStage> stages);
/// A text that is equal exactly for equal stages, for WeightRequest::format.
std::string affine_key(std::span<const AffineStage> stages);

/// The request for scale or shift of the stages as `channels` floats.
enum class AffinePart { scale, shift };
WeightRequest affine_request(std::span<const AffineStage> stages, std::size_t channels, AffinePart part);

/// Packed weights of one model, shared by all its sessions: (device, tensors, format) -> buffer. Filled at first use;
/// a buffer lives as long as the store. Thread-safe.
class WeightStore {
 public:
  explicit WeightStore(std::shared_ptr<const ModelFile> file);

  /// Buffers for all requests, in order. What is missing is read and packed in one pass over `threads` threads: one
  /// task per request, largest first, each tensor read once, in pieces, never the whole file. What another call is
  /// packing at the same time is waited for, never packed twice. When it throws, the store is as before the call.
  /// @throws the Error of the first failing request
  std::vector<const std::byte*> get(std::span<const WeightRequest> requests, DeviceAllocator& device, int threads);

  struct Stats {
    std::size_t buffers = 0, bytes = 0;
    std::size_t packs = 0;  ///< packing tasks run since construction
  };
  Stats stats() const;
  const ModelFile& file() const { return *file_; }

 private:
  using Key = std::tuple<std::string, std::vector<std::string>, std::string>;  ///< device, tensors, format
  class Claims;

  std::vector<std::unique_ptr<DeviceBuffer>> pack(std::span<const WeightRequest* const> requests,
                                                  DeviceAllocator& device, int threads);

  std::shared_ptr<const ModelFile> file_;
  mutable std::mutex lock_;
  std::condition_variable settled_;                       ///< some call stored or gave up what it had claimed
  std::map<Key, std::unique_ptr<DeviceBuffer>> buffers_;  ///< null: a call is packing it
  std::atomic<std::size_t> packs_{0};
};

}  // namespace resnet
