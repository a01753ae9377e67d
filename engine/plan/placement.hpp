#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "plan/value_rules.hpp"

namespace resnet {

/// Which block of the arena every operand of every step lies in, and how long each block lives. A value in several
/// forms has several blocks; a value that overwrites another one shares its block.
struct BlockPlan {
  struct StepBlocks {
    std::vector<std::size_t> inputs, outputs;
    std::size_t workspace = 0;
  };
  std::vector<Lifetime> blocks;
  std::vector<StepBlocks> steps;

  /// The block of a value in a form that exists.
  std::size_t block(NodeId value, const ValueDesc& desc) const;

  struct Form {
    ValueDesc desc;
    std::size_t block = 0;
  };
  std::vector<std::vector<Form>> forms;  ///< per value; the first is as produced
};

/// `workspace_bytes` has one entry per step. Grants aliases where the input dies in the step and nobody else wants it.
BlockPlan assign_blocks(const Graph& graph, const ValueRules& rules, const PlanOptions& options,
                        std::span<const ChosenStep> steps, const ValueDesc& input,
                        std::span<const std::size_t> workspace_bytes);

}  // namespace resnet
