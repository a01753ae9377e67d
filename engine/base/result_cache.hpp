#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.hpp"

namespace resnet {

/// Small results that are worth keeping between processes: key -> JSON value, in one file. It never fails: where the
/// file cannot be read or written the results live in memory alone, and a file that is damaged is reported by one
/// warning with its path and replaced at the next put(). Thread-safe; processes may share the file, and each put() adds
/// to what the others have put there. A key names everything that the result depends on (binary, driver, device).
class ResultCache {
 public:
  static constexpr std::size_t max_entries = 1024;         ///< the oldest go first
  static constexpr std::size_t max_entry_bytes = 8 << 10;  ///< of key and value; what is larger is not kept
  static constexpr std::size_t max_file_bytes = 1 << 20;

  /// @param path of the file; its folder is made when the first result is put. Empty: in memory alone
  explicit ResultCache(std::string path) : path_(std::move(path)) {}
  ResultCache(const ResultCache&) = delete;
  ResultCache& operator=(const ResultCache&) = delete;

  /// What was last put under the key, by this process or by another one before this one's first call or last put().
  std::optional<Json> get(std::string_view key);
  /// Keeps a value, in place of the one before. A key is UTF-8.
  void put(std::string_view key, Json value);

  const std::string& path() const { return path_; }

 private:
  using Entries = std::list<std::pair<std::string, Json>>;  ///< oldest first

  void load();
  Entries read();
  bool write(const Entries& entries);
  void trim(Entries& entries) const;

  std::mutex mutex_;
  std::string path_;
  Entries entries_;
  bool loaded_ = false, warned_ = false, told_ = false;
};

/// Where results are kept: the folder RESNET_ENGINE_CACHE, else resnet-engine in XDG_CACHE_HOME, else
/// ~/.cache/resnet-engine. Empty when none of them is set.
std::string cache_folder();

/// The process's cache: "results.json" in cache_folder(), as it is at the time of the call. The reference stays valid.
/// Thread-safe.
ResultCache& result_cache();

}  // namespace resnet
