#include "infer/classify.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/inputs.hpp"
#include "common/progress.hpp"
#include "common/run_tool.hpp"
#include "common/session_choice.hpp"
#include "common/standard_output.hpp"
#include "common/tool_error.hpp"
#include "infer/loader.hpp"
#include "infer/results.hpp"
#include "infer/saved_arrays.hpp"
#include "resnet_engine/session.hpp"

namespace resnet::tools {
namespace {

SessionOptions session_options(const InferOptions& options) {
  SessionOptions session = options.session;
  if (!options.save.empty()) session.retain = Retain::names;
  for (const auto& [layer, file] : options.save) session.retain_names.push_back(layer);
  return session;
}

/// The error in this tool's words: what is called a retained name there was given to --save here.
Error in_own_words(const Error& error) {
  if (!error.where().ends_with("retain_names")) return in_option_words(error);
  return {error.code(), error.message(), "--save", error.next()};
}

/// The size of the first tensor, where it is known before anything is decoded.
std::optional<Size> first_size(const std::vector<Input>& inputs, const std::optional<Preprocess>& preprocess) {
  const auto first =
      std::find_if(inputs.begin(), inputs.end(), [](const Input& input) { return input.failure.empty(); });
  if (first == inputs.end()) return std::nullopt;
  if (first->array) return Size{first->array->header().shape[2], first->array->header().shape[3]};
  return fixed_size(preprocess.value());
}

/// Inputs of one size and layout that run together.
struct Batch {
  std::vector<std::size_t> indices;
  std::vector<float> values;
  std::int64_t h = 0, w = 0, c = 0;
  Layout layout = Layout::nhwc;

  bool fits(const LoadedInput& input) const {
    return indices.empty() || (h == input.h && w == input.w && c == input.c && layout == input.layout);
  }
  void add(std::size_t index, LoadedInput&& input) {
    if (indices.empty()) {
      h = input.h;
      w = input.w;
      c = input.c;
      layout = input.layout;
      values = std::move(input.values);
    } else {
      values.insert(values.end(), input.values.begin(), input.values.end());
    }
    indices.push_back(index);
  }
  ConstTensorView view() const {
    return {values.data(), static_cast<std::int64_t>(indices.size()), h, w, c, DType::f32, layout, MemoryKind::host};
  }
};

class Run {
 public:
  Run(const InferOptions& options, Model model)
      : options_(options),
        model_(std::move(model)),
        saved_(options),  // claims the output files before any work
        inputs_(expand_inputs(options.inputs)),
        progress_(static_cast<std::int64_t>(inputs_.size())) {
    for (const auto& output : options_.outputs()) {
      for (const auto& input : inputs_) {
        std::error_code missing;
        if (std::filesystem::equivalent(output, input.path, missing)) {
          throw UsageError("the output " + output + " is also an input");
        }
      }
    }
    const bool pictures = std::any_of(inputs_.begin(), inputs_.end(),
                                      [](const Input& input) { return input.failure.empty() && !input.array; });
    preprocess_ = choose_preprocess(model_, options.preset);
    if (pictures && !preprocess_) {
      throw UsageError(model_.path() + " does not say how pictures become its input; name a --preset");
    }
  }

  ExitCode run() {
    const auto usable = std::count_if(inputs_.begin(), inputs_.end(), [](const Input& i) { return i.failure.empty(); });
    const auto batch = std::min<std::int64_t>(options_.batch, std::max<std::int64_t>(usable, 1));
    // Pictures are decoded while the session reads and packs its weights.
    const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    const int threads = options_.session.threads > 0 ? std::min(options_.session.threads, cores) : cores;
    Prefetcher prefetcher(inputs_.size(), static_cast<std::size_t>(2 * batch), threads,
                          [this](std::size_t index) { return load_input(inputs_[index], preprocess_, options_.exif); });
    Session session = open_session();
    // A CPU session that has all cores runs slower with a decoder on one of them than the decoder gains: every step
    // ends with a barrier. It decodes between its runs; all other sessions during them too.
    const bool on_cpu = !session.device().starts_with("cuda");
    const int beside_run = on_cpu ? cores - threads : threads;
    if (const auto size = first_size(inputs_, preprocess_)) prepare(session, batch, *size);

    ResultPrinter printer(
        options_.format, out_,
        {session.device(), session.device_reason(), std::string(to_string(options_.session.precision))});
    try {
      while (!finished()) {
        const Batch ready = next_batch(prefetcher, batch);
        prefetcher.limit_threads(beside_run);
        if (!ready.indices.empty()) classify_batch(ready, session, printer);
        prefetcher.limit_threads(threads);
        progress_.update(static_cast<std::int64_t>(taken_));
      }
    } catch (...) {
      progress_.clear();
      finish_after_error(printer);
      throw;
    }
    progress_.clear();
    printer.finish();
    out_.flush();
    saved_.commit();
    return code_;
  }

 private:
  /// Nobody reads the results any more and no array is wanted: the rest would be work for nothing.
  bool finished() const { return (taken_ == inputs_.size() && !carried_) || (out_.closed() && !saved_.any()); }

  Session open_session() const {
    try {
      return Session(model_, session_options(options_));
    } catch (const Error& error) {
      throw in_own_words(error);
    }
  }

  /// What was printed so far becomes a whole document. The error that ends the run stays the one that is reported.
  void finish_after_error(ResultPrinter& printer) noexcept {
    try {
      printer.finish();
      out_.flush();
    } catch (const std::exception&) {
    }
  }

  /// Reads the weights. A size that does not suit the network is reported with the inputs that have it.
  static void prepare(Session& session, std::int64_t n, const Size& size) {
    try {
      session.prepare(n, size.height, size.width);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_geometry) throw in_own_words(error);
    }
  }

  void fail(std::size_t index, const std::string& reason, ExitCode code) {
    progress_.clear();
    report(index == no_index ? reason : inputs_[index].name + ": " + reason);
    code_ = worse(code_, code);
  }

  Batch next_batch(Prefetcher& prefetcher, std::int64_t limit) {
    Batch batch;
    while (static_cast<std::int64_t>(batch.indices.size()) < limit) {
      if (!carried_) {
        if (taken_ == inputs_.size()) break;
        LoadedInput loaded = prefetcher.next();
        const std::size_t index = taken_++;
        if (!loaded.failure.empty()) {
          fail(no_index, loaded.failure, loaded.code);
          continue;
        }
        carried_.emplace(index, std::move(loaded));
      }
      if (!batch.fits(carried_->second)) break;
      batch.add(carried_->first, std::move(carried_->second));
      carried_.reset();
    }
    return batch;
  }

  void classify_batch(const Batch& batch, Session& session, ResultPrinter& printer) {
    const auto n = batch.indices.size();
    const auto k = static_cast<std::size_t>(model_.output_size());
    std::vector<float> output(n * k);
    const TensorView output_view{output.data(), static_cast<std::int64_t>(n), 1, 1, model_.output_size()};
    try {
      session.run(batch.view(), output_view);
    } catch (const Error& error) {
      // The input's own fault: its size or channels do not suit the network. Anything else ends the run.
      if (error.code() != ErrorCode::bad_geometry && error.code() != ErrorCode::invalid_argument) throw;
      for (const std::size_t index : batch.indices) fail(index, error.what(), ExitCode::input_failed);
      return;
    }
    if (const std::string file = saved_.misfit(batch.view(), session); !file.empty()) {
      for (const std::size_t index : batch.indices) {
        fail(index,
             "its size is not that of the inputs before, and " + file +
                 " cannot hold both; run it on its own, or use a --preset that crops",
             ExitCode::input_failed);
      }
      return;
    }
    saved_.add(batch.view(), {output.data(), output_view.n, 1, 1, output_view.c}, session);
    progress_.clear();
    for (std::size_t i = 0; i < n; ++i) {
      const std::span<const float> row(output.data() + i * k, k);
      if (!std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); })) {
        fail(batch.indices[i], "the network's output is not finite; check the input, or use --precision fp32",
             ExitCode::input_failed);
        continue;
      }
      printer.add(inputs_[batch.indices[i]].name, top_k(model_, row, options_.top));
    }
    out_.flush();
  }

  static constexpr std::size_t no_index = static_cast<std::size_t>(-1);

  const InferOptions& options_;
  Model model_;
  SavedArrays saved_;
  std::vector<Input> inputs_;
  std::optional<Preprocess> preprocess_;
  StandardOutput out_;
  Progress progress_;
  std::size_t taken_ = 0;
  std::optional<std::pair<std::size_t, LoadedInput>> carried_;  ///< taken, but of another size than its batch
  ExitCode code_ = ExitCode::ok;
};

}  // namespace

std::optional<Preprocess> choose_preprocess(const Model& model, const std::string& preset) {
  const auto input = model.input_size();
  std::optional<Preprocess> preprocess = model.preprocess();
  if (!preset.empty()) {
    preprocess = Preprocess::preset(preset);
    preprocess = preprocess->with_input_size(input.height, input.width);
  }
  if (!preprocess) return std::nullopt;
  const std::int64_t channels = preprocess->color == ColorMode::rgb ? 3 : 1;
  if (channels != input.channels) {
    throw UsageError("preset " + preprocess->name + " makes " + std::to_string(channels) + " channels, but " +
                     model.path() + " takes " + std::to_string(input.channels) + "; name another --preset");
  }
  return preprocess;
}

ExitCode classify(const InferOptions& options) { return Run(options, Model::load(options.model)).run(); }

}  // namespace resnet::tools
