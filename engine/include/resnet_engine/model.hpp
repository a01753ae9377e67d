#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "resnet_engine/error.hpp"
#include "resnet_engine/export.hpp"
#include "resnet_engine/image.hpp"

namespace resnet {

namespace detail {
class ModelState;
}

/// A loaded model: the validated layer list and the open weight file. Immutable; copies share one state, and any number
/// of threads may use it at once. Weights are read when the first Session needs them.
class RESNET_ENGINE_API Model {
 public:
  /// Opens a `.rne` file, validates its header and its layer list. Costs the header, not the weights.
  /// @throws Error every code from `io` to `bad_geometry`; the message names layer, tensor or byte offset
  static Model load(const std::string& path);
  // Copies only: a Model always holds a state, also after std::move.
  Model(const Model&) = default;
  Model& operator=(const Model&) = default;

  /// Height, width and channels that the network was made for; other sizes work where the layers allow them.
  struct InputSize {
    std::int64_t height = 0, width = 0, channels = 0;
  };
  InputSize input_size() const;
  /// Number of values per image that the network puts out (classes, for a classifier).
  std::int64_t output_size() const;
  /// True when the network's last layer is a softmax, so that its output already holds probabilities.
  bool ends_in_softmax() const;
  /// Class names in index order; empty when the file holds none.
  const std::vector<std::string>& labels() const;
  /// How pictures become input tensors; empty when the file does not say.
  const std::optional<Preprocess>& preprocess() const;
  const std::string& path() const;

  /// Layers, shapes at the default input size, parameters (total, trainable, non_trainable), MACs and provenance as
  /// JSON. Documented in docs/cli.md under resnet_inspect.
  std::string describe_json() const;

  const std::shared_ptr<const detail::ModelState>& state() const { return state_; }

 private:
  explicit Model(std::shared_ptr<const detail::ModelState> state) : state_(std::move(state)) {}
  std::shared_ptr<const detail::ModelState> state_;
};

}  // namespace resnet
