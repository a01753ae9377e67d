#include "unit/includes/include_rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <regex>
#include <sstream>

namespace resnet::test {
namespace {

/// What a part of the house may include with a folder in front: prefixes that end in "/" or whole headers.
struct PartRule {
  std::string_view part;  ///< folder, relative to the root; the longest match counts
  std::string_view own;   ///< prefix of its own headers
  std::vector<std::string_view> may_include;
};

// Lowest first. "resnet_engine/" (the public headers) is open to every part and not repeated here.
const std::vector<PartRule>& part_rules() {
  static const std::vector<PartRule> rules = {
      {"engine/include/resnet_engine", "resnet_engine/", {}},
      {"engine/base", "base/", {}},
      {"engine/ops", "ops/", {"base/"}},
      {"engine/graph", "graph/", {"ops/", "base/"}},
      {"engine/model", "model/", {"graph/", "ops/", "base/"}},
      // The list and the interface stand above the folders that they list.
      {"engine/backends", "backends/", {"model/weight_store.hpp", "graph/", "ops/", "base/"}},
      {"engine/backends/reference",
       "backends/reference/",
       {"backends/backend.hpp", "model/weight_store.hpp", "graph/", "ops/", "base/"}},
      {"engine/backends/cpu",
       "backends/cpu/",
       {"backends/backend.hpp", "model/weight_store.hpp", "graph/", "ops/", "base/"}},
      {"engine/backends/cuda",
       "backends/cuda/",
       {"kernels/", "backends/backend.hpp", "model/weight_store.hpp", "graph/", "ops/", "base/"}},
      {"engine/plan", "plan/", {"backends/backend.hpp", "graph/", "ops/", "base/"}},
      {"engine/image", "image/", {"base/"}},
      {"engine/runtime", "runtime/", {"plan/", "backends/backend.hpp", "model/", "graph/", "ops/", "image/", "base/"}},
      // Kernels are written in the words of kernels/device; those alone know the emulator.
      {"kernels", "kernels/", {"base/"}},
      {"kernels/device", "kernels/device/", {"kernels/sim/thread_api.hpp", "kernels/cuda_api.hpp", "base/"}},
      {"kernels/sim", "kernels/sim/", {"kernels/cuda_api.hpp", "kernels/device/", "base/"}},
      {"tools/common", "common/", {"base/json.hpp"}},
      {"tools/infer", "infer/", {"common/"}},
      {"tools/convert", "convert/", {"common/", "verify/", "model/", "graph/", "ops/", "base/"}},
      {"tools/inspect", "inspect/", {"common/"}},
      {"tools/verify", "verify/", {"common/"}},
      {"tools/eval", "eval/", {"common/"}},
      {"tools/bench", "bench/", {"common/"}},
      {"examples", "", {}},
  };
  return rules;
}

/// A library whose headers stay in a few places.
struct LibraryRule {
  std::string_view library;
  std::vector<std::string_view> headers;  ///< prefixes of the include's name
  std::vector<std::string_view> homes;    ///< path prefixes that may include it
};

const std::vector<LibraryRule>& library_rules() {
  static const std::vector<LibraryRule> rules = {
      {"oneDNN", {"dnnl", "oneapi/dnnl"}, {"engine/backends/cpu/"}},
      {"nlohmann-json", {"nlohmann/"}, {"engine/base/json.cpp"}},
      {"CUDA",
       {"cuda", "cublas", "cooperative_groups", "driver_types.h", "nvrtc", "mma.h", "cute/", "cutlass/"},
       {"engine/backends/cuda/", "kernels/"}},
      {"cuDNN", {"cudnn"}, {"engine/backends/cuda/cudnn_plan.cpp"}},
      {"Boost.Context", {"boost/"}, {"kernels/sim/"}},
      {"CLI11", {"CLI/"}, {"tools/"}},
      {"stb_image", {"stb_image", "stb/"}, {"engine/image/"}},
      {"libjpeg-turbo", {"turbojpeg.h", "jpeglib.h"}, {"engine/image/"}},
      {"libpng", {"png.h", "pngconf.h", "libpng"}, {"engine/image/"}},
      {"libzip", {"zip.h", "zipconf.h"}, {"tools/convert/"}},
      {"libhdf5", {"hdf5.h", "hdf5/", "H5"}, {"tools/convert/"}},
      {"protobuf and ONNX", {"google/protobuf/", "onnx/"}, {"tools/convert/importers/onnx/proto.cpp"}},
  };
  return rules;
}

/// `text` without comments; every newline stays, so that line numbers hold.
std::string without_comments(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    std::size_t length = 1;
    bool keep = true;
    if (rest.starts_with("//")) {
      length = std::min(rest.find('\n'), rest.size());
      keep = false;
    } else if (rest.starts_with("/*")) {
      const std::size_t close = rest.find("*/", 2);
      length = close == std::string_view::npos ? rest.size() : close + 2;
      keep = false;
    } else if (rest.front() == '"') {
      // A string ends on its line, so that a lone quote (a character literal) costs one line at most.
      while (length < rest.size() && rest[length] != '"' && rest[length] != '\n')
        length += rest[length] == '\\' ? 2u : 1u;
      if (length < rest.size() && rest[length] == '"') ++length;
      length = std::min(length, rest.size());
    }
    if (keep) {
      out.append(rest.substr(0, length));
    } else {
      const auto end = rest.begin() + static_cast<std::ptrdiff_t>(length);
      out.append(static_cast<std::size_t>(std::count(rest.begin(), end, '\n')), '\n');
    }
    i += length;
  }
  return out;
}

std::string_view strip(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

bool under(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

const PartRule* rule_of(std::string_view path) {
  const PartRule* best = nullptr;
  for (const PartRule& rule : part_rules())
    if (under(path, rule.part) && (!best || rule.part.size() > best->part.size())) best = &rule;
  return best;
}

/// True when `name` belongs to a part of this project.
bool is_ours(std::string_view name) {
  return std::any_of(part_rules().begin(), part_rules().end(),
                     [&](const PartRule& rule) { return !rule.own.empty() && name.starts_with(rule.own); });
}

std::string check_own(const PartRule& rule, std::string_view name) {
  if (name.starts_with("resnet_engine/") || name.starts_with(rule.own)) return {};
  for (const std::string_view allowed : rule.may_include)
    if (allowed.ends_with('/') ? name.starts_with(allowed) : name == allowed) return {};
  std::string reason = std::string(rule.part) + " may include ";
  for (const std::string_view allowed : rule.may_include) reason += std::string(allowed) + ", ";
  return reason + std::string(rule.own.empty() || rule.own == "resnet_engine/" ? "" : std::string(rule.own) + " and ") +
         "resnet_engine/ only";
}

std::string check_library(std::string_view path, std::string_view name) {
  for (const LibraryRule& rule : library_rules()) {
    const auto is_prefix_of = [](std::string_view text) {
      return [text](std::string_view prefix) { return text.starts_with(prefix); };
    };
    if (!std::any_of(rule.headers.begin(), rule.headers.end(), is_prefix_of(name))) continue;
    if (std::any_of(rule.homes.begin(), rule.homes.end(), is_prefix_of(path))) return {};
    std::string reason = "headers of " + std::string(rule.library) + " belong into";
    for (const std::string_view home : rule.homes) reason += " " + std::string(home);
    return reason;
  }
  return {};
}

/// Public headers are for programs that have only the installed tree.
bool is_standard(std::string_view name) {
  static constexpr std::array<std::string_view, 3> c_headers = {"stdint.h", "stddef.h", "stdbool.h"};
  return name.find_first_of("./") == std::string_view::npos ||
         std::find(c_headers.begin(), c_headers.end(), name) != c_headers.end();
}

std::string check_one(const PartRule& rule, std::string_view path, const Include& include) {
  if (include.name.empty()) return "an include through a macro hides what it includes";
  if (include.name.find("..") != std::string::npos || include.name.front() == '/')
    return "relative and absolute paths go around the layers; write \"layer/file.hpp\"";
  if (std::string reason = check_library(path, include.name); !reason.empty()) return reason;
  if (is_ours(include.name)) return check_own(rule, include.name);
  if (!include.angled) return "no layer of this project; write \"layer/file.hpp\", or <...> for a library";
  if (rule.own == "resnet_engine/" && !is_standard(include.name)) return "public headers use the standard library only";
  return {};
}

}  // namespace

std::vector<Include> parse_includes(std::string_view text) {
  std::vector<Include> includes;
  const std::string clean = without_comments(text);
  int number = 0;
  for (std::size_t begin = 0; begin <= clean.size();) {
    const std::size_t end = std::min(clean.find('\n', begin), clean.size());
    std::string_view line = strip(std::string_view(clean).substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (!line.starts_with('#')) continue;
    line = strip(line.substr(1));
    if (!line.starts_with("include")) continue;
    line = strip(line.substr(std::string_view("include").size()));
    if (line.starts_with("_next")) line = strip(line.substr(std::string_view("_next").size()));
    Include include{number, {}, line.starts_with('<')};
    if (include.angled || line.starts_with('"')) {
      const std::size_t close = line.find(include.angled ? '>' : '"', 1);
      if (close != std::string_view::npos) include.name = std::string(line.substr(1, close - 1));
    }
    includes.push_back(std::move(include));
  }
  return includes;
}

std::string part_of(std::string_view path) {
  const PartRule* rule = rule_of(path);
  return rule ? std::string(rule->part) : std::string();
}

std::vector<Violation> check_includes(const std::vector<SourceFile>& files) {
  std::vector<Violation> violations;
  std::map<std::string_view, std::string> cli_homes;  // tool -> its one file
  for (const SourceFile& file : files) {
    const PartRule* rule = rule_of(file.path);
    if (!rule) {
      violations.push_back({file.path, 0, "", "belongs to no part; add its folder to the table of include_rules.cpp"});
      continue;
    }
    for (const Include& include : parse_includes(file.text)) {
      std::string reason = check_one(*rule, file.path, include);
      if (reason.empty() && include.name.starts_with("CLI/")) {
        const auto [home, first] = cli_homes.emplace(rule->part, file.path);
        if (!first && home->second != file.path)
          reason = "CLI11 costs seconds per file and is already included by " + home->second;
      }
      if (!reason.empty()) violations.push_back({file.path, include.line, include.name, std::move(reason)});
    }
  }
  return violations;
}

std::vector<Violation> check_kernel_words(const std::vector<SourceFile>& files) {
  // Vendor syntax, in whatever spelling; "asm" and "#if" because a kernel never asks which compiler reads it.
  static const std::regex foreign(
      R"(\b(asm|__asm__|(thread|block)Idx|(block|grid)Dim|warpSize|__\w+__|__sync\w*|__shfl\w*|__(ballot|any|all)\w*|)"
      R"(__threadfence\w*|__ld\w+|__nv_\w+|__half\w*|atomic[A-Z]\w*|u?int[24]|float[24]|make_\w+\d)\b|<<<|#\s*if)");
  std::vector<Violation> violations;
  for (const SourceFile& file : files) {
    const bool kernel = part_of(file.path) == "kernels" && (file.path.ends_with(".cu") || file.path.ends_with(".hpp"));
    if (!kernel) continue;
    std::istringstream clean(without_comments(file.text));
    int number = 0;
    for (std::string line; std::getline(clean, line);) {
      ++number;
      if (std::smatch match; std::regex_search(line, match, foreign)) {
        violations.push_back(
            {file.path, number, match.str(), "kernels are written in the words of kernels/device only"});
      }
    }
  }
  return violations;
}

std::string to_string(const Violation& violation) {
  return violation.file + ":" + std::to_string(violation.line) + ": " + violation.include + ": " + violation.reason;
}

}  // namespace resnet::test
