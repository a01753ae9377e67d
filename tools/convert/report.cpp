#include "convert/report.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/text.hpp"

namespace resnet::convert {
namespace {

std::string line(std::string_view title, const std::string& text) {
  std::string out(title);
  out.resize(12, ' ');
  return out + tools::printable(text) + '\n';
}

/// "1 key", "1,000 keys"
std::string counted(std::int64_t count, const char* one, const char* several) {
  return tools::grouped(count) + ' ' + (count == 1 ? one : several);
}

std::string mapping_lines(const Json& mapping, bool verbose) {
  constexpr std::size_t head = 6, tail = 2;
  const auto& entries = mapping.as_array();
  const bool shorten = !verbose && entries.size() > head + tail + 1;
  tools::Table table({"source key", "shape", "type", "layer", "role", "stored as"});
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (shorten && i >= head && i < entries.size() - tail) continue;
    const Json& e = entries[i];
    std::vector<std::string> cells;
    for (const char* field : {"key", "shape", "type", "layer", "role", "stored"}) {
      cells.push_back(tools::printable(e.at(field).as_string()));
    }
    table.row(std::move(cells));
  }
  std::string out;
  std::size_t number = 0;
  const std::string text = table.text();
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (shorten && number == head + 1) {
      out += "  ... " + std::to_string(entries.size() - head - tail) + " more, --verbose lists them\n";
    }
    out += "  " + text.substr(begin, end - begin) + '\n';
    begin = end + 1;
  }
  return out;
}

}  // namespace

std::string format_report(const Json& report, std::string_view source, const ReportOptions& options) {
  const auto text = [&](const char* key) { return report.at(key).as_string(); };
  std::string first = std::string(source) + ": " + text("importer") + ", " +
                      counted(report.at("tensors").as_int(), "tensor", "tensors");
  if (!text("sha256").empty()) first += ", sha256 " + text("sha256").substr(0, 8);
  if (report.at("known").is_string()) first += ", published as torchvision " + text("known");
  std::string out = line("source", first);
  for (const Json& note : report.at("notes").as_array()) out += line("", note.as_string());
  out += line("recognised", text("architecture") + ": " + text("why"));

  if (!text("assumed").empty()) out += line("assumed", text("assumed"));

  const Json& parameters = report.at("parameters");
  const std::int64_t trainable = parameters.at("trainable").as_int(), expected = parameters.at("expected").as_int();
  const std::size_t ignored = report.at("ignored").as_array().size();
  out += line("mapping", counted(static_cast<std::int64_t>(report.at("mapping").as_array().size()), "key", "keys") +
                             " used" +
                             (ignored > 0 ? ", " + std::to_string(ignored) + " num_batches_tracked ignored" : ""));
  out += mapping_lines(report.at("mapping"), options.verbose);
  out += line("parameters", tools::grouped(trainable) +
                                (expected >= 0 ? " of " + tools::grouped(expected) + " expected" : "") + ", and " +
                                tools::grouped(parameters.at("running").as_int()) + " running statistics");

  const std::string preset = text("preset");
  const std::int64_t labels = report.at("labels").as_int();
  const auto& input = report.at("input").as_array();
  out += line("input", std::to_string(input[0].as_int()) + " x " + std::to_string(input[1].as_int()) + " x " +
                           std::to_string(input[2].as_int()) + ", preset " + (preset.empty() ? "none" : preset) + ", " +
                           counted(report.at("classes").as_int(), "class", "classes") + ", " +
                           (labels == 0 ? "no labels" : counted(labels, "label", "labels")));
  std::string missing;
  if (!report.at("known").is_string() && !report.at("configured").as_bool() && !options.preset_given) {
    missing = preset.empty() ? "--preset says how pictures become input"
                             : "--preset changes how pictures become input (now " + preset + ")";
  }
  if (labels == 0 && !options.labels_given) {
    missing += (missing.empty() ? "" : ", ") + std::string("--labels FILE gives class names");
  }
  if (!missing.empty()) out += line("hint", missing);
  return out;
}

}  // namespace resnet::convert
