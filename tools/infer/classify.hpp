#pragma once

#include <optional>

#include "common/exit_code.hpp"
#include "infer/options.hpp"
#include "resnet_engine/model.hpp"

namespace resnet::tools {

/// How pictures become this model's input: the named preset fitted to the model's size, or what the model file says.
/// Empty when the file says nothing and no preset is named. @throws Error, UsageError when the colours do not fit
std::optional<Preprocess> choose_preprocess(const Model& model, const std::string& preset);

/// resnet_infer's work: every input to its labels on stdout, in order; failed inputs to stderr.
ExitCode classify(const InferOptions& options);

}  // namespace resnet::tools
