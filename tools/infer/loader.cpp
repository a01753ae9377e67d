#include "infer/loader.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>
#include <utility>

#include "common/text.hpp"

namespace resnet::tools {
namespace {

/// A layer may hide NaN (a ReLU that compares makes it 0), so the output cannot be asked instead.
void check_finite(const LoadedInput& loaded, const std::string& name) {
  const auto bad = std::find_if(loaded.values.begin(), loaded.values.end(), [](float v) { return !std::isfinite(v); });
  if (bad == loaded.values.end()) return;
  const std::int64_t index = bad - loaded.values.begin(), plane = loaded.h * loaded.w;
  throw Error(ErrorCode::invalid_argument,
              "value [" + std::to_string(index / plane) + ", " + std::to_string(index % plane / loaded.w) + ", " +
                  std::to_string(index % loaded.w) + "] (channel, row, column) is " + shortest(*bad),
              name, "the network takes finite values only");
}

LoadedInput load_array_row(const Input& input) {
  LoadedInput loaded;
  const auto& shape = input.array->header().shape;
  loaded.c = shape[1];
  loaded.h = shape[2];
  loaded.w = shape[3];
  loaded.layout = Layout::nchw;
  loaded.values.resize(static_cast<std::size_t>(input.array->row_elements()));
  input.array->read_rows(input.row, 1, loaded.values);
  check_finite(loaded, input.name);
  return loaded;
}

LoadedInput load_picture(const Input& input, const Preprocess& preprocess, bool exif) {
  LoadedInput loaded;
  loaded.c = preprocess.color == ColorMode::rgb ? 3 : 1;
  const auto view = [&] {
    loaded.values.resize(static_cast<std::size_t>(loaded.h * loaded.w * loaded.c));
    return TensorView{loaded.values.data(), 1, loaded.h, loaded.w, loaded.c};
  };
  if (const auto size = fixed_size(preprocess)) {
    loaded.h = size->height;
    loaded.w = size->width;
    preprocess_file(input.path, preprocess, exif, view());
  } else {
    const Image image = load_image(input.path, {preprocess.color, exif});
    const ImageSize picture_size = preprocessed_size(image, preprocess);
    loaded.h = picture_size.height;
    loaded.w = picture_size.width;
    preprocess_image(image, preprocess, view());
  }
  return loaded;
}

LoadedInput failed(std::string reason, ExitCode code) {
  LoadedInput loaded;
  loaded.failure = std::move(reason);
  loaded.code = code;
  return loaded;
}

}  // namespace

std::optional<Size> fixed_size(const Preprocess& preprocess) {
  if (preprocess.crop) return Size{preprocess.crop_h, preprocess.crop_w};
  if (preprocess.resize == ResizeMode::exact) return Size{preprocess.resize_h, preprocess.resize_w};
  return std::nullopt;
}

LoadedInput load_input(const Input& input, const std::optional<Preprocess>& preprocess, bool exif) {
  try {
    if (!input.failure.empty()) return failed(input.name + ": " + input.failure, ExitCode::input_failed);
    if (input.array) return load_array_row(input);
    return load_picture(input, preprocess.value(), exif);
  } catch (const Error& error) {
    const bool named = error.where().find(input.path) != std::string::npos;
    const ExitCode code = error.code() == ErrorCode::out_of_memory ? ExitCode::resource : ExitCode::input_failed;
    return failed(named ? error.what() : input.name + ": " + error.what(), code);
  } catch (const std::bad_alloc&) {
    return failed(input.name + ": out of memory", ExitCode::resource);
  } catch (const std::exception& error) {
    return failed(input.name + ": internal error: " + error.what(), ExitCode::resource);
  }
}

Prefetcher::Prefetcher(std::size_t count, std::size_t ahead, int threads, Load load)
    : count_(count), ahead_(std::max<std::size_t>(ahead, 1)), load_(std::move(load)), limit_(std::max(threads, 1)) {
  const auto wanted = std::min(static_cast<std::size_t>(std::max(threads, 1)), std::min(count_, ahead_));
  for (std::size_t i = 0; i < wanted; ++i) threads_.emplace_back([this] { work(); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard guard(lock_);
    stop_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Prefetcher::work() {
  std::unique_lock guard(lock_);
  for (;;) {
    changed_.wait(guard,
                  [&] { return stop_ || started_ == count_ || (started_ < taken_ + ahead_ && loading_ < limit_); });
    if (stop_ || started_ == count_) return;
    const std::size_t index = started_++;
    ++loading_;
    guard.unlock();
    LoadedInput loaded = load_(index);
    guard.lock();
    --loading_;
    ready_.emplace(index, std::move(loaded));
    changed_.notify_all();
  }
}

LoadedInput Prefetcher::next() {
  std::unique_lock guard(lock_);
  const auto found = [&] { return ready_.find(taken_); };
  changed_.wait(guard, [&] { return found() != ready_.end(); });
  LoadedInput loaded = std::move(found()->second);
  ready_.erase(found());
  ++taken_;
  changed_.notify_all();
  return loaded;
}

void Prefetcher::limit_threads(int threads) {
  {
    const std::lock_guard guard(lock_);
    limit_ = threads;
  }
  changed_.notify_all();
}

}  // namespace resnet::tools
