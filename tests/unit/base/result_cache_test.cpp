#include "base/result_cache.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "base/log.hpp"
#include "support/scratch_folder.hpp"

namespace resnet {
namespace {

using test::read_text;
using test::ScratchFolder;
using test::write_text;

/// Collects warnings as long as it lives.
class Warnings {
 public:
  Warnings() {
    set_log_sink([this](LogLevel level, std::string_view text) {
      if (level == LogLevel::warning) list.emplace_back(text);
    });
  }
  ~Warnings() { set_log_sink(nullptr); }
  std::vector<std::string> list;
};

std::string value_of(ResultCache& cache, const std::string& key) {
  const auto value = cache.get(key);
  return value ? value->dump() : "nothing";
}

TEST(ResultCache, KeepsResultsBetweenProcesses) {
  const ScratchFolder folder;
  const std::string path = folder / "made/on/demand/results.json";
  {
    ResultCache cache(path);
    EXPECT_EQ(value_of(cache, "a"), "nothing");
    cache.put("a", Json::Object{{"us", 1.5}, {"plan", "x\"y"}});
    cache.put("b", 1);
    cache.put("b", 2);
  }
  const Warnings warnings;
  ResultCache again(path);
  EXPECT_EQ(value_of(again, "a"), R"({"us":1.5,"plan":"x\"y"})");
  EXPECT_EQ(value_of(again, "b"), "2");
  EXPECT_TRUE(warnings.list.empty());
}

TEST(ResultCache, WarnsOnceOfADamagedFileAndReplacesIt) {
  const ScratchFolder folder;
  const std::string path = folder / "results.json";
  ResultCache(path).put("key", "value");
  const std::string whole = read_text(path);
  std::vector<std::string> damaged{"",
                                   "{}",
                                   "[]",
                                   std::string(100, '['),
                                   "\xff\xfe",
                                   whole + "x",
                                   R"({"format":1,"checksum":"0","results":{}})",
                                   R"({"format":1,"checksum":"af63bd4c8601b7df","results":[]})",
                                   std::string(ResultCache::max_file_bytes + 1, ' ')};
  for (std::size_t length = 1; length + 1 < whole.size(); length += 7) damaged.push_back(whole.substr(0, length));
  std::string edited = whole;
  edited[whole.find("value")] = 'V';
  damaged.push_back(edited);
  edited = whole;
  edited[whole.find(":1,") + 1] = '2';  // a later format
  damaged.push_back(edited);
  for (const auto& text : damaged) {
    write_text(path, text);
    const Warnings warnings;
    ResultCache cache(path);
    EXPECT_EQ(value_of(cache, "key"), "nothing") << text.substr(0, 80);
    cache.put("new", 1);
    ASSERT_EQ(warnings.list.size(), 1u) << text.substr(0, 80);
    EXPECT_NE(warnings.list[0].find(path), std::string::npos) << warnings.list[0];
    ResultCache again(path);
    EXPECT_EQ(value_of(again, "new"), "1") << "the file was not rebuilt";
    EXPECT_EQ(warnings.list.size(), 1u);
  }
}

TEST(ResultCache, WorksInMemoryWhereNothingCanBeWritten) {
  const ScratchFolder folder;
  write_text(folder / "file", "");
  ASSERT_EQ(mkdir((folder / "results.json").c_str(), 0700), 0);
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const std::string& path :
       {std::string(), folder / "file/results.json", folder / "results.json", std::string("/proc/results.json")}) {
    const Warnings warnings;
    ResultCache cache(path);
    cache.put("a", 1);
    cache.put("b", 2);
    EXPECT_EQ(value_of(cache, "a") + value_of(cache, "b"), "12") << path;
  }
  const Warnings warnings;
  ResultCache pipe(folder / "pipe");  // does not wait for a writer
  EXPECT_EQ(value_of(pipe, "a"), "nothing");
  EXPECT_EQ(warnings.list.size(), 1u);
}

TEST(ResultCache, LeavesNoTemporaryFiles) {
  const ScratchFolder folder;
  ResultCache cache(folder / "results.json");
  for (int i = 0; i < 5; ++i) cache.put(std::to_string(i), i);
  EXPECT_EQ(folder.entries(), 2u) << "the file and its lock";
  ASSERT_EQ(mkdir((folder / "folder.json").c_str(), 0700), 0);
  ResultCache(folder / "folder.json").put("a", 1);
  EXPECT_EQ(folder.entries(), 4u);
}

TEST(ResultCache, DropsTheOldestBeyondItsSize) {
  const ScratchFolder folder;
  const std::string path = folder / "results.json";
  ResultCache cache(path);
  cache.put("large", std::string(ResultCache::max_entry_bytes - 100, '"'));  // two bytes each in the file
  EXPECT_EQ(value_of(cache, "large"), "nothing") << "larger than an entry may be";
  const Warnings warnings;
  const std::string fits(ResultCache::max_entry_bytes - 100, 'x');
  for (int i = 0; i < 75; ++i) cache.put(std::to_string(i), fits);
  EXPECT_LE(read_text(path).size(), ResultCache::max_file_bytes);
  EXPECT_EQ(value_of(cache, "0"), "nothing");
  EXPECT_EQ(value_of(cache, "74"), '"' + fits + '"');
  ResultCache reader(path);
  EXPECT_EQ(value_of(reader, "74"), '"' + fits + '"');
  EXPECT_TRUE(warnings.list.empty());
}

TEST(ResultCache, DoesNotKeepWhatItCouldNotReadAgain) {
  const ScratchFolder folder;
  ResultCache cache(folder / "results.json");
  Json deep = 1;
  for (int i = 0; i < 64; ++i) deep = Json::Array{deep};
  cache.put("deep", deep);
  cache.put("good", 1);
  const Warnings warnings;
  ResultCache again(folder / "results.json");
  EXPECT_EQ(value_of(again, "deep") + value_of(again, "good"), "nothing1");
  EXPECT_TRUE(warnings.list.empty());
}

TEST(ResultCache, AddsUpWhatSeveralProcessesPut) {
  const ScratchFolder folder;
  const std::string path = folder / "results.json";
  constexpr int processes = 3, each = 15;
  std::vector<pid_t> children;
  for (int p = 0; p < processes; ++p) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ResultCache cache(path);
      for (int i = 0; i < each; ++i) cache.put(std::to_string(p) + "." + std::to_string(i), i);
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  ResultCache cache(path);
  for (int p = 0; p < processes; ++p) {
    for (int i = 0; i < each; ++i)
      EXPECT_EQ(value_of(cache, std::to_string(p) + "." + std::to_string(i)), std::to_string(i));
  }
}

TEST(ResultCache, TakesCallsFromSeveralThreads) {
  const ScratchFolder folder;
  ResultCache cache(folder / "results.json");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      for (int i = 0; i < 10; ++i) {
        cache.put(std::to_string(t), i);
        EXPECT_EQ(value_of(cache, std::to_string(t)), std::to_string(i));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

/// Sets variables for one test.
class Environment {
 public:
  explicit Environment(std::vector<std::pair<std::string, std::string>> values) {
    for (const char* name : {"RESNET_ENGINE_CACHE", "XDG_CACHE_HOME", "HOME"}) {
      const char* before = std::getenv(name);
      before_.emplace_back(name, before ? std::optional<std::string>(before) : std::nullopt);
      unsetenv(name);
    }
    for (const auto& [name, value] : values) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : before_) value ? setenv(name, value->c_str(), 1) : unsetenv(name);
  }

 private:
  std::vector<std::pair<const char*, std::optional<std::string>>> before_;
};

TEST(ResultCache, LiesWhereTheEnvironmentSays) {
  using List = std::vector<std::pair<std::string, std::string>>;
  const std::vector<std::pair<List, std::string>> cases{
      {{}, ""},
      {{{"HOME", "/home/a"}}, "/home/a/.cache/resnet-engine"},
      {{{"HOME", "/home/a"}, {"XDG_CACHE_HOME", "/var/c"}}, "/var/c/resnet-engine"},
      {{{"HOME", "/home/a"}, {"XDG_CACHE_HOME", "relative"}}, "/home/a/.cache/resnet-engine"},
      {{{"HOME", "/home/a"}, {"XDG_CACHE_HOME", "/var/c"}, {"RESNET_ENGINE_CACHE", "own"}}, "own"},
  };
  for (const auto& [values, folder] : cases) {
    const Environment environment(values);
    EXPECT_EQ(cache_folder(), folder);
    EXPECT_EQ(result_cache().path(), folder.empty() ? "" : folder + "/results.json");
    EXPECT_EQ(&result_cache(), &result_cache());
  }
}

}  // namespace
}  // namespace resnet
