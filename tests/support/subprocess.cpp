#include "support/subprocess.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <stdexcept>
#include <thread>
#include <utility>

namespace resnet::test {
namespace {

void close_once(int& descriptor) {
  if (descriptor >= 0) close(std::exchange(descriptor, -1));
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const Stdout& where) {
  std::array<int, 2> out{}, err{};
  if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  std::vector<char*> arguments;
  for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    // The test runner may ignore these; a tool started from a shell does not.
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGXFSZ}) std::signal(number, SIG_DFL);
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    dup2(err[1], 2);
    if (where.kind == Stdout::Kind::captured) dup2(out[1], 1);
    if (where.kind == Stdout::Kind::file) dup2(open(where.file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666), 1);
    if (where.kind == Stdout::Kind::closed) close(1);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(out[1]);
  close(err[1]);
  out_ = out[0];
  err_ = err[0];
}

Process::~Process() {
  close_once(out_);
  close_once(err_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

void Process::send(int signal) const { kill(pid_, signal); }

std::string Process::read_line() {
  std::string line;
  for (char c = 0; c != '\n' && read(out_, &c, 1) == 1;) line += c;
  return line;
}

void Process::close_stdout() { close_once(out_); }

Outcome Process::wait(std::chrono::seconds limit) {
  Outcome outcome;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (out_ >= 0 || err_ >= 0) {
    std::array<pollfd, 2> streams{pollfd{out_, POLLIN, 0}, pollfd{err_, POLLIN, 0}};
    poll(streams.data(), streams.size(), 100);
    for (std::size_t i = 0; i < 2; ++i) {
      if ((streams[i].revents & (POLLIN | POLLHUP)) == 0) continue;
      std::array<char, 65536> buffer;
      const ssize_t got = read(streams[i].fd, buffer.data(), buffer.size());
      if (got > 0) {
        (i == 0 ? outcome.out : outcome.err).append(buffer.data(), static_cast<std::size_t>(got));
      } else {
        close_once(i == 0 ? out_ : err_);
      }
    }
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the program did not end in time");
  }
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the program did not end in time");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  pid_ = -1;
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  return outcome;
}

Outcome run(const std::vector<std::string>& command, const Stdout& where) { return Process(command, where).wait(); }

std::string tool(const std::string& name) { return std::string(RESNET_BIN_DIR) + "/" + name; }

}  // namespace resnet::test
