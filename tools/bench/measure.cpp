#include "bench/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <random>
#include <utility>

#include "bench/statistics.hpp"
#include "common/open_session.hpp"
#include "resnet_engine/session.hpp"

namespace resnet::tools {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// Values like those of a normalised picture; zeros would let a CPU skip denormals and a GPU clock higher.
std::vector<float> made_up_input(std::size_t count) {
  std::minstd_rand random(1);
  std::uniform_real_distribution<float> value(-2, 2);
  std::vector<float> values(count);
  for (auto& v : values) v = value(random);
  return values;
}

BatchTimes measure_batch(Session& session, const Model& model, const BenchOptions& options, std::int64_t n, Size size) {
  BatchTimes times;
  times.batch = n;
  const auto begin = Clock::now();
  session.prepare(n, size.height, size.width);
  times.prepare_ms = milliseconds_since(begin);

  const std::int64_t c = model.input_size().channels;
  const auto input = made_up_input(static_cast<std::size_t>(n * size.height * size.width * c));
  std::vector<float> output(static_cast<std::size_t>(n * model.output_size()));
  const auto run = [&] {
    const auto start = Clock::now();
    session.run({input.data(), n, size.height, size.width, c, DType::f32, Layout::nhwc, MemoryKind::host},
                {output.data(), n, 1, 1, model.output_size(), DType::f32, Layout::nhwc, MemoryKind::host});
    return milliseconds_since(start);
  };
  times.first_ms = run();
  for (int i = 0; i < options.warmup; ++i) run();
  const auto start = Clock::now();
  const auto more = [&] {
    const auto done = static_cast<int>(times.runs_ms.size());
    if (options.iterations > 0) return done < options.iterations;
    return done < 5 || milliseconds_since(start) < options.seconds * 1000;
  };
  while (more()) times.runs_ms.push_back(run());
  // Apart from the others: their clock costs a little itself.
  const std::size_t timed = std::min<std::size_t>(times.runs_ms.size(), 1000);
  for (std::size_t i = 0; i < timed; ++i) {
    const Session::RunTimes where =
        session.run_timed({input.data(), n, size.height, size.width, c, DType::f32, Layout::nhwc, MemoryKind::host},
                          {output.data(), n, 1, 1, model.output_size(), DType::f32, Layout::nhwc, MemoryKind::host});
    if (!where.host_us || !where.device_us) break;  // the calling thread computes
    times.host_us.push_back(*where.host_us);
    times.device_us.push_back(*where.device_us);
  }
  if (options.layers) times.profile_json = session.profile(options.iterations > 0 ? options.iterations : 20);
  return times;
}

}  // namespace

Measurement measure(const BenchOptions& options) {
  Measurement result;
  const auto begin = Clock::now();
  const Model model = Model::load(options.model);
  Session session = open_session(model, options.session);
  const auto own = model.input_size();
  const Size size = options.input_size.value_or(Size{own.height, own.width});
  session.prepare(options.batches.front(), size.height, size.width);
  result.load_ms = milliseconds_since(begin);

  for (const std::int64_t n : options.batches)
    result.batches.push_back(measure_batch(session, model, options, n, size));
  result.device = session.device();
  result.device_reason = session.device_reason();
  result.peak_rss_bytes = peak_rss_bytes();
  return result;
}

}  // namespace resnet::tools
