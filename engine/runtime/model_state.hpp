#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/model_file.hpp"
#include "model/weight_store.hpp"
#include "resnet_engine/model.hpp"

namespace resnet::detail {

/// What all copies of a Model and all its Sessions share. Immutable but for the weight store, which locks itself.
class ModelState {
 public:
  explicit ModelState(std::shared_ptr<const ModelFile> file);

  const ModelHeader& header() const { return file_->header(); }
  const Graph& graph() const { return file_->header().graph; }
  const std::string& path() const { return file_->path(); }
  const std::optional<Preprocess>& preprocess() const { return preprocess_; }
  /// Sizes of all values for one image of the default input size.
  const std::vector<Dims>& default_shapes() const { return default_shapes_; }
  WeightStore& weights() const { return weights_; }

 private:
  std::shared_ptr<const ModelFile> file_;
  std::optional<Preprocess> preprocess_;
  std::vector<Dims> default_shapes_;
  mutable WeightStore weights_;
};

/// Parameters of a graph; each stored tensor counts once, running statistics are not trainable.
struct ParameterCount {
  std::int64_t trainable = 0, non_trainable = 0;
};
ParameterCount count_parameters(const Graph& graph);

}  // namespace resnet::detail
