#include "convert/arch_answers.hpp"

#include <algorithm>
#include <set>

#include "base/check.hpp"

namespace resnet::convert {
namespace {

constexpr const char* known =
    "known: stride=1x1|3x3, aa=none|blur|average, stem=cifar|imagenet|deep, shortcut=pool|conv, first_stride=1|2, "
    "pool=max|none, head=relu";

[[noreturn]] void unknown(std::string_view answer) {
  fail(ErrorCode::invalid_argument, "unknown answer \"" + std::string(answer) + '"', "--arch", known);
}

bool either(std::string_view answer, std::string_view value, std::string_view yes, std::string_view no) {
  if (value != yes && value != no) unknown(answer);
  return value == yes;
}

}  // namespace

ArchAnswers take_answers(std::string& arch) {
  ArchAnswers answers;
  const std::size_t comma = arch.find(',');
  if (comma == std::string::npos) return answers;
  const std::string text = arch.substr(comma + 1);
  arch.resize(comma);
  std::set<std::string_view> answered;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view answer = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    const std::size_t equals = answer.find('=');
    if (equals == std::string_view::npos) unknown(answer);
    const std::string_view question = answer.substr(0, equals), value = answer.substr(equals + 1);
    if (!answered.insert(question).second) {
      fail(ErrorCode::invalid_argument, "answers \"" + std::string(question) + "\" twice", "--arch", "give one answer");
    }
    if (question == "stride") {
      answers.stride_in_1x1 = either(answer, value, "1x1", "3x3");
    } else if (question == "aa") {
      if (value == "none") {
        answers.anti_alias = AntiAlias::none;
      } else {
        answers.anti_alias = either(answer, value, "blur", "average") ? AntiAlias::blur : AntiAlias::average;
      }
    } else if (question == "stem") {
      answers.stem = value == "deep"                              ? StemAnswer::deep
                     : either(answer, value, "cifar", "imagenet") ? StemAnswer::cifar
                                                                  : StemAnswer::imagenet;
    } else if (question == "shortcut") {
      answers.average_down = either(answer, value, "pool", "conv");
    } else if (question == "first_stride") {
      answers.stride_in_first_stage = either(answer, value, "2", "1");
    } else if (question == "pool") {
      answers.stem_pool = either(answer, value, "max", "none");
    } else if (answer == "head=relu") {
      answers.relu_head = true;
    } else {
      unknown(answer);
    }
  }
  return answers;
}

void add_answers(const ArchAnswers& more, ArchAnswers& answers) {
  const auto add = [](const auto& from, auto& to) {
    if (from) to = from;
  };
  add(more.stride_in_1x1, answers.stride_in_1x1);
  add(more.anti_alias, answers.anti_alias);
  add(more.stem, answers.stem);
  add(more.average_down, answers.average_down);
  add(more.stride_in_first_stage, answers.stride_in_first_stage);
  add(more.stem_pool, answers.stem_pool);
  answers.relu_head = answers.relu_head || more.relu_head;
}

void apply(const ArchAnswers& answers, ResNetShape& shape) {
  if (answers.stride_in_1x1) {
    if (!shape.bottleneck && *answers.stride_in_1x1) {
      fail(ErrorCode::invalid_argument, "stride=1x1 is for bottleneck blocks, the tensors are those of basic blocks",
           "--arch", "leave it out");
    }
    shape.stride_in_1x1 = *answers.stride_in_1x1;
  }
  if (answers.anti_alias) shape.anti_alias = *answers.anti_alias;
  if (answers.stem) {
    const bool cifar = *answers.stem == StemAnswer::cifar, deep = *answers.stem == StemAnswer::deep;
    if (deep != (shape.stem.size() > 1)) {
      fail(ErrorCode::invalid_argument,
           "the tensors have " + std::to_string(shape.stem.size()) + " stem convolutions, which contradicts stem=",
           "--arch", "leave it out");
    }
    shape.stem_stride = cifar ? 1 : 2;
    if (shape.stem_pool != StemPool::conv) shape.stem_pool = cifar ? StemPool::none : StemPool::max;
    shape.input_size = cifar ? 32 : 224;
  }
  if (answers.stem_pool) {
    if (shape.stem_pool == StemPool::conv) {
      fail(ErrorCode::invalid_argument,
           "the tensors have a convolution for the stem's pool, which contradicts pool=", "--arch", "leave it out");
    }
    shape.stem_pool = !*answers.stem_pool                     ? StemPool::none
                      : shape.stem_pool == StemPool::max_ceil ? StemPool::max_ceil
                                                              : StemPool::max;
  }
  if (answers.average_down) {
    if (!shape.preactivation && *answers.average_down != shape.average_down) {
      fail(ErrorCode::invalid_argument, "the names of the shortcuts' tensors contradict shortcut=", "--arch",
           "leave it out");
    }
    shape.average_down = *answers.average_down;
  }
  if (answers.stride_in_first_stage && *answers.stride_in_first_stage != shape.stride_in_first_stage) {
    shape.stride_in_first_stage = *answers.stride_in_first_stage;
    BlockShape& first = shape.stages.front().front();
    if (shape.stride_in_first_stage && first.projection == 0) first.projection = 1;
  }
}

std::string first_stride_question(const ArchAnswers& answers, const ResNetShape& shape) {
  if (answers.stride_in_first_stage || !shape.projects_equal_width()) return {};
  return "the first block projects to as many channels as it gets: does it stride (--arch resnet,first_stride=2) or "
         "not (first_stride=1)?";
}

std::string assumed_text(const ArchAnswers& answers, const ResNetShape& shape, const std::string& name) {
  std::string text, other;
  const auto add = [&](const char* taken, const char* instead) {
    text += (text.empty() ? "" : ", ") + std::string(taken);
    if (other.empty()) other = instead;
  };
  if (shape.bottleneck && !answers.stride_in_1x1) {
    shape.stride_in_1x1 ? add("stride=1x1", "stride=3x3") : add("stride=3x3", "stride=1x1");
  }
  if (!shape.preactivation && !answers.anti_alias) add("aa=none", "aa=blur");
  const bool asked = shape.stem.size() == 1 && shape.stem_pool != StemPool::conv && !answers.stem;
  if (asked) shape.stem_stride == 1 ? add("stem=cifar", "stem=imagenet") : add("stem=imagenet", "stem=cifar");
  if (shape.preactivation && !answers.average_down) {
    shape.average_down ? add("shortcut=pool", "shortcut=conv") : add("shortcut=conv", "shortcut=pool");
  }
  if (shape.stages.front().front().projection > 0 && !shape.projects_equal_width() && !answers.stride_in_first_stage) {
    shape.stride_in_first_stage ? add("first_stride=2", "first_stride=1") : add("first_stride=1", "first_stride=2");
  }
  return text.empty() ? "" : text + " (no tensor tells; otherwise: --arch " + name + ',' + other + ", docs/convert.md)";
}

std::string open_questions(const ArchAnswers& answers, const ResNetShape& shape) {
  std::string text;
  const auto ask = [&](const std::string& question) { text += (text.empty() ? "" : "; ") + question; };
  if (shape.bottleneck && !answers.stride_in_1x1) {
    ask("do the bottlenecks stride in the 3x3 (--arch resnet,stride=3x3: torchvision and most others) or in the first "
        "1x1 (stride=1x1: the original and Keras)?");
  }
  if (shape.stem.size() == 1 && shape.stem_kernel != 7 && !answers.stem) {
    ask("does the " + std::to_string(shape.stem_kernel) + 'x' + std::to_string(shape.stem_kernel) +
        " stem keep the size, without a pool (--arch resnet,stem=cifar), or does it stride before a max pool "
        "(stem=imagenet)?");
  }
  if (shape.stem.size() > 1 && !answers.average_down) {
    ask("do the shortcuts that stride pool before their convolution (--arch resnet,shortcut=pool: the d and t nets of "
        "timm) or does the convolution stride (shortcut=conv)?");
  }
  if (const std::string question = first_stride_question(answers, shape); !question.empty()) ask(question);
  return text;
}

}  // namespace resnet::convert
