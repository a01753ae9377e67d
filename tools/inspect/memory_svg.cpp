#include "inspect/memory_svg.hpp"

#include <algorithm>

#include "common/text.hpp"

namespace resnet::tools {
namespace {

constexpr double left = 80, top = 30, height = 480, step_width = 18, font = 11;

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string names(const Json& values) {
  std::string text;
  for (const Json& value : values.as_array()) text += (text.empty() ? "" : ", ") + value.as_string();
  return text.empty() ? "scratch" : text;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y, 1) + "\" text-anchor=\"" + anchor + "\">" + escaped(text) +
         "</text>\n";
}

}  // namespace

std::string memory_svg(const std::string& path, const Json& inspection) {
  const Json& memory = inspection.at("memory");
  const std::int64_t arena = memory.at("arena_bytes").as_int(), bound = memory.at("live_lower_bound_bytes").as_int();
  const auto steps = static_cast<double>(inspection.at("plan").at("steps").as_array().size());
  const double width = steps * step_width, scale = arena > 0 ? height / static_cast<double>(arena) : 0;
  const auto y_of = [&](std::int64_t address) { return top + height - static_cast<double>(address) * scale; };

  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
                    fixed(left + std::max(width, 400.0) + 20, 0) + "\" height=\"" + fixed(top + height + 40, 0) +
                    "\" font-family=\"sans-serif\" font-size=\"" + fixed(font, 0) + "\">\n";
  svg +=
      text_at(left, top - 12, "start", path + ": arena " + human_bytes(arena) + ", lower bound " + human_bytes(bound));
  int colour = 0;
  for (const Json& block : memory.at("blocks").as_array()) {
    const std::int64_t offset = block.at("offset").as_int(), bytes = block.at("bytes").as_int();
    const std::int64_t first = block.at("first_step").as_int(), last = block.at("last_step").as_int();
    const bool scratch = block.at("values").as_array().empty();
    const std::string name = names(block.at("values"));
    const double x = left + static_cast<double>(first) * step_width, y = y_of(offset + bytes);
    const double w = static_cast<double>(last - first + 1) * step_width, h = static_cast<double>(bytes) * scale;
    // Neighbours in the plan get hues far apart.
    const std::string fill = scratch ? "#bbbbbb" : "hsl(" + std::to_string(colour++ * 137 % 360) + ",60%,75%)";
    svg += "<rect x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y, 2) + "\" width=\"" + fixed(w, 1) + "\" height=\"" +
           fixed(h, 2) + "\" fill=\"" + fill + "\" stroke=\"#333333\" stroke-width=\"0.5\"><title>" + escaped(name) +
           ": " + human_bytes(bytes) + " at " + std::to_string(offset) + ", steps " + std::to_string(first) + " to " +
           std::to_string(last) + "</title></rect>\n";
    if (h > font + 2 && w > 0.62 * font * static_cast<double>(name.size()))
      svg += text_at(x + w / 2, y + h / 2 + font / 3, "middle", name);
  }
  svg += "<line x1=\"" + fixed(left, 1) + "\" x2=\"" + fixed(left + width, 1) + "\" y1=\"" + fixed(y_of(bound), 2) +
         "\" y2=\"" + fixed(y_of(bound), 2) + "\" stroke=\"black\" stroke-dasharray=\"4 3\"/>\n";
  for (const double part : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    const auto address = static_cast<std::int64_t>(part * static_cast<double>(arena));
    svg += text_at(left - 6, y_of(address) + font / 3, "end", human_bytes(address));
  }
  for (std::int64_t step = 0; static_cast<double>(step) < steps; step += 5) {
    svg += text_at(left + (static_cast<double>(step) + 0.5) * step_width, top + height + 16, "middle",
                   std::to_string(step));
  }
  return svg + text_at(left + width / 2, top + height + 34, "middle", "step") + "</svg>\n";
}

}  // namespace resnet::tools
