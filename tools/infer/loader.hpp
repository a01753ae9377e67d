#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/exit_code.hpp"
#include "common/inputs.hpp"
#include "common/session_choice.hpp"
#include "resnet_engine/image.hpp"
#include "resnet_engine/tensor.hpp"

namespace resnet::tools {

/// One input as a tensor for the network, or why there is none.
struct LoadedInput {
  std::vector<float> values;  ///< 1 x H x W x C in `layout`
  std::int64_t h = 0, w = 0, c = 0;
  Layout layout = Layout::nhwc;
  std::string failure;  ///< not empty: the input failed
  ExitCode code = ExitCode::ok;
};

/// Height and width of every tensor that this preprocessing makes, where they do not depend on the picture.
std::optional<Size> fixed_size(const Preprocess& preprocess);

/// Decodes and preprocesses a picture, or reads a row of an array. Never throws: failures are part of the result.
/// `preprocess` is needed for pictures only.
LoadedInput load_input(const Input& input, const std::optional<Preprocess>& preprocess, bool exif);

/// Loads inputs on its own threads, ahead of their use, and hands them out in order.
class Prefetcher {
 public:
  using Load = std::function<LoadedInput(std::size_t index)>;
  /// At most `ahead` inputs are loaded or being loaded but not yet taken.
  Prefetcher(std::size_t count, std::size_t ahead, int threads, Load load);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next input, in order; waits for it. Call at most `count` times.
  LoadedInput next();

  /// At most this many threads load from now on; loads under way are finished.
  void limit_threads(int threads);

 private:
  void work();

  const std::size_t count_, ahead_;
  const Load load_;
  std::mutex lock_;
  std::condition_variable changed_;
  std::map<std::size_t, LoadedInput> ready_;
  std::size_t started_ = 0, taken_ = 0;
  int loading_ = 0, limit_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace resnet::tools
