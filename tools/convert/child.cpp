#include "convert/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <new>
#include <span>

#include "base/check.hpp"
#include "base/json.hpp"
#include "common/text.hpp"
#include "convert/sandbox.hpp"

namespace resnet::convert {
namespace {

using Clock = std::chrono::steady_clock;

/// The child writes one frame: this header, then the report, then the data.
struct FrameHeader {
  std::uint64_t failed = 0;  ///< 1: the report is an error
  std::uint64_t report_bytes = 0, data_bytes = 0;
};

bool write_all(int fd, const void* data, std::size_t bytes) {
  const auto* at = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    const ssize_t done = ::write(fd, at, bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    bytes -= static_cast<std::size_t>(done);
  }
  return true;
}

bool write_frame(int fd, bool failed, const std::string& report, std::span<const std::vector<std::byte>> data) {
  FrameHeader header{failed ? 1u : 0u, report.size(), 0};
  for (const auto& piece : data) header.data_bytes += piece.size();
  return write_all(fd, &header, sizeof header) && write_all(fd, report.data(), report.size()) &&
         std::all_of(data.begin(), data.end(),
                     [&](const auto& piece) { return write_all(fd, piece.data(), piece.size()); });
}

/// As printed: a zero byte from a file would end the text of an exception.
std::string error_json(ErrorCode code, const std::string& message, const std::string& where, const std::string& next) {
  Json json = Json::object();
  json.set("code", static_cast<int>(code))
      .set("message", tools::printable(message))
      .set("where", tools::printable(where))
      .set("next", tools::printable(next));
  return json.dump();
}

[[noreturn]] void child_main(const std::function<ChildOutput()>& work, const ChildLimits& limits, std::vector<int> keep,
                             int out) {
  bool written = false;
  SandboxLimits real;
  try {
    keep.push_back(out);
    real = enter_sandbox({limits.memory_bytes, limits.cpu_seconds}, std::move(keep));
    const ChildOutput result = work();
    written = write_frame(out, false, result.report, result.data);
  } catch (const Error& error) {
    written = write_frame(out, true, error_json(error.code(), error.message(), error.where(), error.next()), {});
  } catch (const std::bad_alloc&) {
    const bool by_ulimit = real.memory_bytes < limits.memory_bytes;
    const std::string needs = "needs more than the " + std::to_string(real.memory_bytes >> 20) + " MiB of memory that ";
    written = write_frame(
        out, true,
        by_ulimit ? error_json(ErrorCode::out_of_memory, needs + "this process may take", "", "raise ulimit -v or -d")
                  : error_json(ErrorCode::import_failed, needs + "a file of its size may take", "",
                               "the file is damaged or was made to exhaust memory"),
        {});
  } catch (const std::exception& error) {
    written = write_frame(out, true, error_json(ErrorCode::import_failed, error.what(), "", ""), {});
  }
  ::_exit(written ? 0 : 1);
}

/// Kills and reaps the child, whatever happens.
class ChildProcess {
 public:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) fail(ErrorCode::out_of_memory, std::strerror(errno), "pipe");
    (void)::fcntl(ends_[1], F_SETPIPE_SZ, 1 << 20);  // fewer turns between the two; refused above the user's limit
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void close_end(int i) {
    if (ends_[i] >= 0) ::close(ends_[i]);
    ends_[i] = -1;
  }

 private:
  int ends_[2] = {-1, -1};
};

enum class ReadEnd : std::uint8_t { complete, closed, timed_out };

ReadEnd read_all(int fd, std::span<std::byte> out, Clock::time_point deadline) {
  while (!out.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return ReadEnd::timed_out;
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t got = ::read(fd, out.data(), out.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ReadEnd::closed;
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return ReadEnd::complete;
}

[[noreturn]] void died(int status, const ChildLimits& limits, const std::string& where) {
  std::string how = "its reader ended without a result";
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    rlimit own{};
    const std::uint64_t seconds = ::getrlimit(RLIMIT_CPU, &own) == 0
                                      ? std::min<std::uint64_t>(limits.cpu_seconds, own.rlim_cur)
                                      : limits.cpu_seconds;
    how = signal == SIGXCPU || signal == SIGKILL
              ? "its reader was stopped (signal " + std::to_string(signal) + "); the limit is " +
                    std::to_string(seconds) + " s of CPU time"
              : "its reader crashed on this file (signal " + std::to_string(signal) + ")";
  }
  fail(ErrorCode::import_failed, how, where, "the file is damaged or was tampered with; nothing was written");
}

[[noreturn]] void rethrow(const std::string& report, const std::string& where, const std::vector<std::string>& others) {
  const Json json = parse_json(report, where);
  const std::int64_t code = json.at("code").as_int();
  const bool known = code >= 1 && code <= static_cast<int>(ErrorCode::internal);
  std::string place = json.at("where").as_string();
  // Tensors and layers are named below the file.
  if (place.empty()) {
    place = where;
  } else if (!place.starts_with(tools::printable(where)) && !place.starts_with("--") &&
             std::none_of(others.begin(), others.end(), [&](const std::string& other) {
               return !other.empty() && place.starts_with(tools::printable(other));
             })) {
    place = where + ": " + place;
  }
  const ErrorCode kind = known ? static_cast<ErrorCode>(code) : ErrorCode::import_failed;
  std::string next = json.at("next").as_string();
  const bool by_content =
      kind != ErrorCode::invalid_argument && kind != ErrorCode::out_of_memory && kind != ErrorCode::internal;
  if (next.empty() && by_content) next = "the file is damaged or was made by hand: save, export or download it again";
  fail(kind, json.at("message").as_string(), place, next);
}

}  // namespace

ChildLimits limits_for(std::uint64_t file_bytes) {
  ChildLimits limits;
  limits.memory_bytes = (std::uint64_t{64} << 20) + 3 * file_bytes;
  limits.cpu_seconds = 3 + file_bytes / (std::uint64_t{10} << 20);  // 15 times what 10 MiB take on one core of 2024
  if (sandbox_is_weakened_by_sanitizer()) limits.cpu_seconds *= 10;
  limits.wall_ms = 4000 * limits.cpu_seconds;
  limits.data_bytes = limits.memory_bytes;
  return limits;
}

ChildResult run_limited(const std::function<ChildOutput()>& work, const ChildLimits& limits, std::vector<int> keep,
                        const std::string& where, const std::vector<std::string>& others) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(limits.wall_ms);
  Pipe pipe;
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) fail(ErrorCode::out_of_memory, std::string("cannot start the reader: ") + std::strerror(errno), where);
  if (pid == 0) {
    // An interrupted converter takes its child along.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    child_main(work, limits, std::move(keep), pipe.write_end());
  }
  ChildProcess child(pid);
  pipe.close_end(1);

  ChildResult result;
  FrameHeader header;
  const auto receive = [&](std::span<std::byte> out) {
    switch (read_all(pipe.read_end(), out, deadline)) {
      case ReadEnd::complete:
        return;
      case ReadEnd::closed:
        died(child.wait(), limits, where);
      case ReadEnd::timed_out:
        break;
    }
    fail(ErrorCode::import_failed, "its reader did not finish within " + std::to_string(limits.wall_ms / 1000) + " s",
         where, "the file is damaged or was tampered with; nothing was written");
  };
  receive(std::as_writable_bytes(std::span(&header, 1)));
  if (header.report_bytes > limits.report_bytes || header.data_bytes > limits.data_bytes || header.failed > 1) {
    fail(ErrorCode::import_failed, "its reader sent a result beyond its limits", where);
  }
  result.report.resize(header.report_bytes);
  receive(std::as_writable_bytes(std::span(result.report)));
  result.data.resize(header.data_bytes);
  receive(result.data);
  if (header.failed == 1) rethrow(result.report, where, others);
  return result;
}

}  // namespace resnet::convert
