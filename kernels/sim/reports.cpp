#include <algorithm>
#include <cstring>
#include <mutex>

#include "kernels/sim/block.hpp"
#include "kernels/sim/source_line.hpp"

namespace resnet::sim {
namespace {

std::mutex mutex;
std::vector<Report> reports;
/// Repeats are looked for among the reports of the running launch: from here on.
std::size_t first_of_launch = 0;
std::uint64_t launch_of_reports = 0;
constexpr std::size_t most_reports = 1000;

std::string_view file_name(const char* path) {
  const char* const slash = std::strrchr(path, '/');
  return slash ? slash + 1 : path;
}

}  // namespace

std::string_view to_string(ReportKind kind) {
  constexpr std::string_view names[] = {"barrier",    "warp",          "deadlock",      "shared_memory",
                                        "misaligned", "out_of_bounds", "uninitialised", "race",
                                        "async_copy", "canary",        "unsupported",   "trap"};
  return names[static_cast<std::size_t>(kind)];
}

std::string to_string(const Report& report) {
  std::ostringstream text;
  text << to_string(report.kind) << " in " << report.kernel << ", block (" << report.block.x << "," << report.block.y
       << "," << report.block.z << ")";
  if (report.thread >= 0) text << ", thread " << report.thread;
  if (!report.file.empty()) text << ", " << report.file << ":" << report.line;
  text << ": " << report.message;
  return text.str();
}

namespace {

void add(ReportKind kind, std::string file, unsigned line, std::string message) {
  Report report;
  report.kind = kind;
  report.file = std::move(file);
  report.line = line;
  report.message = std::move(message);
  if (running_block) {
    const Launch& launch = running_block->launch();
    report.kernel = launch.kernel.name;
    report.block = running_block->index();
    if (current && running_block->is_fiber(current)) report.thread = static_cast<int>(current->thread);
    set_launch_error(kind);
  }
  const std::lock_guard lock(mutex);
  if (running_block && launch_of_reports != running_block->launch().number) {
    launch_of_reports = running_block->launch().number;
    first_of_launch = reports.size();
  }
  const auto first = reports.begin() + static_cast<std::ptrdiff_t>(std::min(first_of_launch, reports.size()));
  const bool known = std::any_of(first, reports.end(), [&](const Report& other) {
    return other.kind == kind && other.line == line && !other.file.empty() && other.file == report.file;
  });
  if (!known && reports.size() < most_reports) reports.push_back(std::move(report));
}

}  // namespace

void add_report(ReportKind kind, const char* file, unsigned line, std::string message) {
  add(kind, std::string(file_name(file)), line, std::move(message));
}

void add_report(ReportKind kind, const void* pc, std::string message) {
  const SourceLine where = source_line(pc);
  add(kind, std::string(file_name(where.file.c_str())), where.line, std::move(message));
}

std::vector<Report> take_reports() {
  const std::lock_guard lock(mutex);
  first_of_launch = 0;
  return std::exchange(reports, {});
}

void clear_reports() { take_reports(); }

}  // namespace resnet::sim
