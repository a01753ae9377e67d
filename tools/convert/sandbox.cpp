#include "convert/sandbox.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <string>

#include "base/check.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RESNET_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define RESNET_SANITIZED 1
#endif
#endif
#ifndef RESNET_SANITIZED
#define RESNET_SANITIZED 0
#endif

namespace resnet::convert {
namespace {

/// Lowers a limit; one that is lower already (ulimit) stays, since no process may raise it. @return what holds now
std::uint64_t limit(decltype(RLIMIT_CPU) resource, std::uint64_t soft, std::uint64_t hard) {
  rlimit value{};
  ensure(::getrlimit(resource, &value) == 0, "a process may ask for its own limits");
  value.rlim_max = std::min<rlim_t>(value.rlim_max, hard);
  value.rlim_cur = std::min<rlim_t>({value.rlim_cur, soft, value.rlim_max});
  ensure(::setrlimit(resource, &value) == 0, "a process may lower its own limits");
  return value.rlim_cur;
}

/// Size of this process's address space now.
std::uint64_t address_space() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t pages = 0;
  in >> pages;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void close_all_but(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned first = 3;
  for (const int fd : keep) {
    const auto kept = static_cast<unsigned>(fd);
    if (kept > first) ::close_range(first, kept - 1, 0);
    if (kept >= first) first = kept + 1;
  }
  ::close_range(first, ~0U, 0);
}

/// The standard streams become /dev/null: a parser has nothing to say on a terminal.
void silence_standard_streams() {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  for (const int fd : {0, 1, 2}) {
    if (fd == 2 && RESNET_SANITIZED) continue;  // where reports go
    ::dup2(null, fd);
  }
  ::close(null);
}

#if defined(__x86_64__)
constexpr std::uint32_t audit_arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t audit_arch = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t audit_arch = 0;
#endif

/// Reading the open source, writing the result, memory, exit. Anything else gets EPERM.
constexpr long allowed_calls[] = {
    __NR_read,
    __NR_pread64,
    __NR_write,
    __NR_writev,
    __NR_lseek,
    __NR_munmap,
    __NR_mremap,
    __NR_madvise,
    __NR_brk,
    __NR_futex,
    __NR_exit,
    __NR_exit_group,
    __NR_rt_sigaction,
    __NR_rt_sigprocmask,
    __NR_rt_sigreturn,
    __NR_sigaltstack,
    __NR_getpid,
    __NR_gettid,
    __NR_tgkill,
    __NR_clock_gettime,
    __NR_getrandom,
    __NR_sched_yield,
    __NR_nanosleep,
    __NR_clock_nanosleep,
    __NR_restart_syscall,
};

std::vector<sock_filter> filter_program() {
  const auto load = [](std::size_t offset) {
    return sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
  };
  const auto give = [](std::uint32_t action) { return sock_filter{BPF_RET | BPF_K, 0, 0, action}; };
  const auto skip_unless_equal = [](std::uint32_t value, std::uint8_t skip) {
    return sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, skip, value};
  };
  constexpr std::uint32_t deny = SECCOMP_RET_ERRNO | EPERM;
  std::vector<sock_filter> program = {
      load(offsetof(seccomp_data, arch)),     skip_unless_equal(audit_arch, 1),
      sock_filter{BPF_JMP | BPF_JA, 0, 0, 1}, give(deny),
      load(offsetof(seccomp_data, nr)),
  };
  for (const long call : allowed_calls) {
    program.push_back(skip_unless_equal(static_cast<std::uint32_t>(call), 1));
    program.push_back(give(SECCOMP_RET_ALLOW));
  }
  // Memory may be mapped and protected, but never made executable.
  for (const long call : {__NR_mmap, __NR_mprotect}) {
    program.push_back(skip_unless_equal(static_cast<std::uint32_t>(call), 4));
    program.push_back(load(offsetof(seccomp_data, args) + 2 * sizeof(std::uint64_t)));
    program.push_back(sock_filter{BPF_JMP | BPF_JSET | BPF_K, 0, 1, PROT_EXEC});
    program.push_back(give(deny));
    program.push_back(give(SECCOMP_RET_ALLOW));
  }
  program.push_back(give(deny));
  return program;
}

/// A second wall behind the limits; a kernel without seccomp leaves the limits.
void filter_system_calls() {
  if (audit_arch == 0 || RESNET_SANITIZED) return;
  std::vector<sock_filter> program = filter_program();
  const sock_fprog description{static_cast<unsigned short>(program.size()), program.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return;
  (void)::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &description);
}

}  // namespace

bool sandbox_is_weakened_by_sanitizer() noexcept { return RESNET_SANITIZED != 0; }

SandboxLimits enter_sandbox(const SandboxLimits& limits, std::vector<int> keep) {
  SandboxLimits real = limits;
  silence_standard_streams();
  close_all_but(std::move(keep));
  const std::uint64_t now = address_space();  // the last file that is opened here
  // 0 descriptors: those that are open stay usable, no file, socket or pipe can be opened any more.
  limit(RLIMIT_NOFILE, 0, 0);
  limit(RLIMIT_FSIZE, 0, 0);
  limit(RLIMIT_CORE, 0, 0);
  if (limits.cpu_seconds > 0) real.cpu_seconds = limit(RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1);
  if (limits.memory_bytes > 0 && RESNET_SANITIZED == 0) {
    const std::uint64_t end = limit(RLIMIT_AS, now + limits.memory_bytes, now + limits.memory_bytes);
    rlimit data{};  // ulimit -d: not ours to lower, but it may be what runs out
    ensure(::getrlimit(RLIMIT_DATA, &data) == 0, "a process may ask for its own limits");
    real.memory_bytes = std::min<std::uint64_t>(end - std::min(end, now), data.rlim_cur);
  }
  filter_system_calls();
  return real;
}

}  // namespace resnet::convert
