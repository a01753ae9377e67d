#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "convert/resnet_shape.hpp"

namespace resnet::convert {

enum class StemAnswer : std::uint8_t {
  cifar,     ///< one 3x3, stride 1, no pool
  imagenet,  ///< one convolution of stride 2, max pool
  deep,      ///< three 3x3, the first of stride 2, max pool
};

/// What the tensors of a network cannot tell, answered by the user or by a configuration. In `--arch` the answers
/// follow the name: "resnet,stride=1x1,aa=blur".
struct ArchAnswers {
  std::optional<bool> stride_in_1x1;          ///< stride=1x1|3x3
  std::optional<AntiAlias> anti_alias;        ///< aa=none|blur|average
  std::optional<StemAnswer> stem;             ///< stem=cifar|imagenet|deep
  std::optional<bool> average_down;           ///< shortcut=pool|conv
  std::optional<bool> stride_in_first_stage;  ///< first_stride=1|2
  std::optional<bool> stem_pool;              ///< pool=max|none
  bool relu_head = false;                     ///< head=relu

  bool empty() const {
    return !stride_in_1x1 && !anti_alias && !stem && !average_down && !stride_in_first_stage && !stem_pool &&
           !relu_head;
  }
};

/// Takes the answers behind the name off `arch`. @throws Error invalid_argument that lists questions and answers
ArchAnswers take_answers(std::string& arch);

/// Adds the answers of `more`, which count before those that are there.
void add_answers(const ArchAnswers& more, ArchAnswers& answers);

/// @throws Error invalid_argument where an answer contradicts what the tensors show
void apply(const ArchAnswers& answers, ResNetShape& shape);

/// Whether the first stage strides, where its first block projects to as many channels as it gets and `answers` do not
/// say; empty otherwise.
std::string first_stride_question(const ArchAnswers& answers, const ResNetShape& shape);

/// What was taken for usual, and how to say otherwise: "stride=3x3, aa=none (...)"; empty when all was answered.
std::string assumed_text(const ArchAnswers& answers, const ResNetShape& shape, const std::string& name);

/// The questions that shapes alone leave open for this net and that `answers` do not answer, with the options that
/// answer them; empty when there is none.
std::string open_questions(const ArchAnswers& answers, const ResNetShape& shape);

}  // namespace resnet::convert
