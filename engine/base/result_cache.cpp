#include "base/result_cache.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include "base/check.hpp"
#include "base/file_descriptor.hpp"
#include "base/log.hpp"
#include "base/read_file.hpp"

namespace resnet {
namespace {

constexpr std::int64_t format = 1;

/// FNV-1a: finds a file that was cut or edited; nobody signs it.
std::string checksum(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::string digits(16, '0');
  for (std::size_t i = digits.size(); i-- > 0; hash >>= 4) digits[i] = "0123456789abcdef"[hash & 15];
  return digits;
}

std::size_t bytes_of(const std::string& key, const Json& value) { return key.size() + value.dump().size(); }

constexpr JsonLimits limits{ResultCache::max_file_bytes, 64};

/// Whether the file could be read again with this entry in it.
bool can_be_kept(const std::string& key, const Json& value) {
  if (bytes_of(key, value) > ResultCache::max_entry_bytes) return false;
  try {
    parse_json(Json(Json::Object{{key, value}}).dump(), "entry", JsonLimits{limits.max_values, limits.max_depth - 1});
    return true;
  } catch (const Error&) {
    return false;  // text that is no UTF-8, or too deep
  }
}

/// Keeps other processes out while it lives. After a second, or where locks do not work, it goes on without: then
/// results that two processes put at once may get lost, the file stays whole.
class FileLock {
 public:
  explicit FileLock(const std::string& path)
      : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    for (int attempt = 0; file_ && attempt < 200; ++attempt) {
      if (::flock(file_.get(), LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR)) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

 private:
  FileDescriptor file_;  // closing it gives the lock back
};

bool write_file(const std::string& path, std::string_view text) {
  std::string temporary = path + ".XXXXXX";
  const FileDescriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file) return false;
  while (!text.empty()) {
    const ssize_t count = retry_interrupted([&] { return ::write(file.get(), text.data(), text.size()); });
    if (count <= 0) break;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  if (text.empty() && ::rename(temporary.c_str(), path.c_str()) == 0) return true;
  ::unlink(temporary.c_str());
  return false;
}

/// One entry a line.
template <class Entries>
std::string file_text(const Entries& entries) {
  std::string lines;
  Json::Object results;
  for (const auto& [key, value] : entries) {
    lines += (lines.empty() ? "\n" : ",\n") + Json(key).dump() + ":" + value.dump();
    results.emplace_back(key, value);
  }
  return "{\"format\":" + std::to_string(format) + ",\"checksum\":\"" + checksum(Json(std::move(results)).dump()) +
         "\",\"results\":{" + lines + "}}\n";
}

std::string environment(const char* name) {
  const char* value = ::secure_getenv(name);
  return value ? value : "";
}

}  // namespace

std::optional<Json> ResultCache::get(std::string_view key) {
  const std::lock_guard guard(mutex_);
  load();
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.first == key; });
  return found == entries_.end() ? std::nullopt : std::optional(found->second);
}

void ResultCache::put(std::string_view key, Json value) {
  const std::lock_guard guard(mutex_);
  load();
  std::pair<std::string, Json> entry(key, std::move(value));
  if (!can_be_kept(entry.first, entry.second)) return;
  const auto add = [&](Entries& entries) {
    std::erase_if(entries, [&](const auto& e) { return e.first == entry.first; });
    entries.push_back(entry);
    trim(entries);
  };
  add(entries_);
  if (path_.empty()) return;
  const std::filesystem::path path(path_);
  std::error_code ignored;  // writing says whether the folder is there
  std::filesystem::create_directories(path.parent_path(), ignored);
  const FileLock lock(path_ + ".lock");
  Entries all = read();
  for (auto& mine : entries_) {  // what could not be written so far
    const auto same = [&](const auto& theirs) { return theirs.first == mine.first; };
    if (std::none_of(all.begin(), all.end(), same)) all.push_back(mine);
  }
  add(all);
  if (write(all)) entries_ = std::move(all);
}

void ResultCache::load() {
  if (loaded_ || path_.empty()) return;
  entries_ = read();
  loaded_ = true;
}

ResultCache::Entries ResultCache::read() {
  Entries entries;
  try {
    const auto text = read_file(path_, max_file_bytes);
    if (!text) return entries;
    const Json file = parse_json(*text, {}, limits);
    if (file.at("format").as_int("format") != format) fail(ErrorCode::bad_header, "it has another format");
    const Json& results = file.at("results");
    if (file.at("checksum").as_string("checksum") != checksum(results.dump()))
      fail(ErrorCode::checksum, "its checksum is wrong");
    for (const auto& [key, value] : results.as_object("results")) entries.emplace_back(key, value);
    trim(entries);
  } catch (const Error& error) {
    entries.clear();
    if (!warned_)
      log(LogLevel::warning,
          "the file of kept results " + path_ + " cannot be used (" + error.message() + "); it is made anew");
    warned_ = true;
  }
  return entries;
}

bool ResultCache::write(const Entries& entries) {
  if (write_file(path_, file_text(entries))) return true;
  if (!told_) log(LogLevel::info, "results cannot be kept in " + path_ + ": " + errno_text(errno));
  told_ = true;
  return false;
}

/// To half of the file's limit: punctuation and escapes come on top.
void ResultCache::trim(Entries& entries) const {
  std::size_t bytes = 0, kept = 0;
  for (auto entry = entries.rbegin(); entry != entries.rend() && kept < max_entries; ++entry, ++kept) {
    bytes += bytes_of(entry->first, entry->second);
    if (bytes > max_file_bytes / 2) break;
  }
  while (entries.size() > kept) entries.pop_front();
}

std::string cache_folder() {
  if (const std::string own = environment("RESNET_ENGINE_CACHE"); !own.empty()) return own;
  if (const std::string caches = environment("XDG_CACHE_HOME"); caches.starts_with('/'))
    return caches + "/resnet-engine";
  if (const std::string home = environment("HOME"); home.starts_with('/')) return home + "/.cache/resnet-engine";
  return {};
}

ResultCache& result_cache() {
  static std::mutex mutex;
  static std::map<std::string, ResultCache> caches;
  const std::string folder = cache_folder();
  const std::lock_guard guard(mutex);
  const std::string path = folder.empty() ? "" : folder + "/results.json";
  return caches.try_emplace(path, path).first->second;
}

}  // namespace resnet
