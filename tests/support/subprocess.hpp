#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace resnet::test {

/// What became of a program.
struct Outcome {
  int code = -1;   ///< exit code; -1 when a signal ended it
  int signal = 0;  ///< the signal that ended it, or 0
  std::string out, err;
};

/// Where a program's stdout goes.
struct Stdout {
  enum class Kind { captured, closed, file } kind = Kind::captured;
  std::string file;
  static Stdout closed() { return {Kind::closed, {}}; }
  static Stdout to(std::string path) { return {Kind::file, std::move(path)}; }
};

/// A program under test: absolute path and arguments, stdin empty. Killed by the destructor when it still runs.
class Process {
 public:
  explicit Process(const std::vector<std::string>& command, const Stdout& where = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const;
  /// Reads stdout up to and with the next line break.
  std::string read_line();
  /// Closes the reading end of stdout, as `head` does.
  void close_stdout();
  /// Collects what it still writes and waits for its end. @throws std::runtime_error after `limit`
  Outcome wait(std::chrono::seconds limit = std::chrono::seconds(120));

 private:
  pid_t pid_ = -1;
  int out_ = -1, err_ = -1;
};

Outcome run(const std::vector<std::string>& command, const Stdout& where = {});

/// The path of one of our executables.
std::string tool(const std::string& name);

}  // namespace resnet::test
