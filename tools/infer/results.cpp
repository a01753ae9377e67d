#include "infer/results.hpp"

#include <cmath>
#include <cstdlib>
#include <utility>

#include "common/json.hpp"
#include "common/text.hpp"

namespace resnet::tools {
namespace {

/// A float as a JSON number with its own digits: 0.7713, not 0.77130001783371.
Json number(float value) { return std::isfinite(value) ? Json(std::strtod(shortest(value).c_str(), nullptr)) : Json(); }

}  // namespace

std::string result_text(std::string_view input, std::span<const Prediction> top) {
  std::string text = printable(input) + "\n";
  for (const auto& line : top) {
    const std::string percent = fixed(100.0 * static_cast<double>(line.score), 2);
    text += std::string(8 - std::min<std::size_t>(8, percent.size()), ' ') + percent + "%  ";
    text += line.label.empty() ? "class " + std::to_string(line.index) : printable(line.label);
    text += "\n";
  }
  return text;
}

std::string result_json(std::string_view input, std::span<const Prediction> top, const RunFacts& facts) {
  Json lines = Json::array();
  for (const auto& line : top) {
    lines.push(Json::Object{{"index", line.index},
                            {"label", to_utf8(line.label)},
                            {"score", number(line.score)},
                            {"logit", number(line.logit)}});
  }
  return Json(Json::Object{{"input", to_utf8(input)},
                           {"top", std::move(lines)},
                           {"device", facts.device},
                           {"device_reason", facts.device_reason},
                           {"precision", facts.precision}})
      .dump();
}

std::string result_csv(std::string_view input, std::span<const Prediction> top) {
  std::string text;
  int rank = 0;
  for (const auto& line : top) {
    text += csv_field(input) + "," + std::to_string(++rank) + "," + std::to_string(line.index) + "," +
            csv_field(line.label) + "," + shortest(line.score) + "\n";
  }
  return text;
}

ResultPrinter::ResultPrinter(Format format, StandardOutput& out, RunFacts facts)
    : format_(format), out_(out), facts_(std::move(facts)) {
  if (format_ == Format::json) out_.write("[");
  if (format_ == Format::csv) out_.write("input,rank,index,label,score\n");
}

void ResultPrinter::add(std::string_view input, std::span<const Prediction> top) {
  switch (format_) {
    case Format::text:
      out_.write(result_text(input, top));
      break;
    case Format::json:
      out_.write((first_ ? "\n " : ",\n ") + result_json(input, top, facts_));
      break;
    case Format::jsonl:
      out_.write(result_json(input, top, facts_) + "\n");
      break;
    case Format::csv:
      out_.write(result_csv(input, top));
      break;
  }
  first_ = false;
}

void ResultPrinter::finish() {
  if (format_ == Format::json) out_.write(first_ ? "]\n" : "\n]\n");
}

}  // namespace resnet::tools
