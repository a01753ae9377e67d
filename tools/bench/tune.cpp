#include "bench/tune.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/atomic_file.hpp"
#include "common/json.hpp"
#include "common/open_session.hpp"
#include "common/text.hpp"
#include "resnet_engine/planning.hpp"

namespace resnet::tools {
namespace {

/// What the file holds already; empty where there is none to add to.
std::string existing(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return {};
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file || text.empty()) throw Error(ErrorCode::io, "cannot be read", path, "name another file for --tune");
  return text;
}

std::string measured(const Model& model, const BenchOptions& options, std::int64_t n, Size size) {
  const int iterations = options.iterations > 0 ? options.iterations : 20;
  try {
    return measure_implementations(model, options.session, n, size.height, size.width, iterations, options.command);
  } catch (const Error& error) {
    throw in_option_words(error);
  }
}

std::string readable(const std::string& table, const BenchOptions& options) {
  const Json json =
      parse_json(std::string_view(table).substr(0, table.find_last_of('}') + 1), "table", {10'000'000, 64});
  std::string text;
  for (const auto& [problem, implementations] : json.at("problems").as_object()) {
    Table rows({"  implementation", ">us", ">min", ">max", ">runs"});
    for (const auto& [name, time] : implementations.as_object()) {
      rows.row({"  " + printable(name), fixed(time.at("median_us").as_double(), 2),
                fixed(time.at("min_us").as_double(), 2), fixed(time.at("max_us").as_double(), 2),
                std::to_string(time.at("runs").as_int())});
    }
    text += printable(problem) + "\n" + rows.text() + "\n";
  }
  return text + std::to_string(json.at("problems").as_object().size()) + " problems on " +
         printable(json.at("architecture").as_string()) + " in " + printable(options.tune) +
         "; use them with --times\n";
}

}  // namespace

std::string tune(const BenchOptions& options) {
  const Model model = Model::load(options.model);
  std::string table = existing(options.tune);
  AtomicFile file(options.tune);
  const auto own = model.input_size();
  const Size size = options.input_size.value_or(Size{own.height, own.width});
  for (const std::int64_t n : options.batches) {
    const std::string newer = measured(model, options, n, size);
    table = table.empty() ? newer : merge_measured_times(table, newer, options.tune);
  }
  file.write(std::as_bytes(std::span(table)));
  file.commit();
  return options.json ? table : readable(table, options);
}

}  // namespace resnet::tools
