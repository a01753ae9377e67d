#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/npy.hpp"
#include "infer/options.hpp"
#include "resnet_engine/session.hpp"

namespace resnet::tools {

/// The values of a host tensor as float32 in NCHW order. f32, bf16 and f16 are converted exactly.
/// @throws Error unsupported for other types and for device memory
std::vector<float> nchw_values(const ConstTensorView& tensor);

/// The arrays that --save-output, --save-input and --save ask for, a row per classified input.
class SavedArrays {
 public:
  /// Claims every file. @throws OutputError
  explicit SavedArrays(const InferOptions& options);
  bool any() const { return output_ || input_ || !layers_.empty(); }

  /// The first file that cannot take the rows of a batch that has just run, because they have another shape than the
  /// rows before; empty when all can.
  std::string misfit(const ConstTensorView& input, const Session& session) const;
  /// Rows of one batch that has just run, and fits.
  void add(const ConstTensorView& input, const ConstTensorView& output, const Session& session);
  /// Completes the files, all of them or, on an error, those before it.
  void commit();

 private:
  std::unique_ptr<NpyWriter> output_, input_;
  std::vector<std::pair<std::string, std::unique_ptr<NpyWriter>>> layers_;
};

}  // namespace resnet::tools
