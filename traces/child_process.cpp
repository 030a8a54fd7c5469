#include "traces/child_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <utility>

#include "sim/core/check.h"

namespace moesim {
namespace {

// The shadow memory of a sanitizer is terabytes of address space, so that a limit on it would stop every allocation;
// and it opens pipes to find out whether an address is mapped.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif !defined(__has_feature)
constexpr bool kSanitized = false;
#elif __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr int kExitDone = 0;
constexpr int kExitThrew = 3;
constexpr int kPipeBytes = 1 << 20;

void limit(decltype(RLIMIT_CPU) what, uint64_t value) {
  rlimit bound{};
  if (getrlimit(what, &bound) != 0) return;
  bound.rlim_cur = bound.rlim_max == RLIM_INFINITY ? value : std::min<rlim_t>(value, bound.rlim_max);
  setrlimit(what, &bound);
}

// The address space of this process now, in bytes. RLIMIT_AS counts it all, what was inherited included.
uint64_t mapped_bytes() {
  unsigned long long pages = 0;
  if (FILE* statm = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(statm, "%llu", &pages) != 1) pages = 0;
    std::fclose(statm);
  }
  return pages * uint64_t(sysconf(_SC_PAGESIZE));
}

void enter_limits(const ChildLimits& limits) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGINT, SIG_IGN);  // the parent answers Ctrl-C, and takes the child with it
  for (const int end : {SIGPIPE, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM}) signal(end, SIG_DFL);
  const int nowhere = open("/dev/null", O_RDWR);
  for (const int stream : {0, 1, 2}) dup2(nowhere, stream);  // a crash's own words would only puzzle the user
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CPU, uint64_t(limits.cpu_seconds));
  if (!kSanitized) limit(RLIMIT_AS, mapped_bytes() + uint64_t(limits.memory.count));
}

[[noreturn]] void run_child(const ChildLimits& limits, const std::function<void(int, int)>& work, int requests,
                            int replies) {
  int code = kExitThrew;
  try {
    enter_limits(limits);
    work(requests, replies);
    code = kExitDone;
  } catch (...) {  // whatever it was, the parent says that the child ended early
  }
  _exit(code);
}

std::string wait_for(pid_t child, const ChildLimits& limits) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return "could not be waited for";
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
    return fmt::format("used more than {} s of CPU time", limits.cpu_seconds);
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) == kExitDone) return "";
  return fmt::format("ended with status {}", WEXITSTATUS(status));
}

}  // namespace

ChildProcess::ChildProcess(const ChildLimits& limits, const std::function<void(int, int)>& work) : limits_(limits) {
  int requests[2];
  int replies[2];
  // A socket for the requests, since writing to a child that has died must not end this process by SIGPIPE.
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, requests) == 0);
  CHECK(pipe2(replies, O_CLOEXEC) == 0);
  fcntl(replies[1], F_SETPIPE_SZ, kPipeBytes);  // fewer switches between the two; it works without
  std::fflush(nullptr);
  child_ = fork();
  CHECK(child_ >= 0);
  if (child_ == 0) {
    close(requests[0]);
    close(replies[0]);
    run_child(limits, work, requests[1], replies[1]);
  }
  close(requests[1]);
  close(replies[1]);
  requests_ = requests[0];
  replies_ = replies[0];
}

ChildProcess::~ChildProcess() {
  if (child_ < 0) return;
  kill(child_, SIGKILL);
  end();
}

bool ChildProcess::ask(std::span<const std::byte> request) {
  CHECK(child_ >= 0);
  clockid_t clock = 0;
  timespec used{};
  rlimit bound{};
  if (clock_getcpuclockid(child_, &clock) == 0 && clock_gettime(clock, &used) == 0 &&
      prlimit(child_, RLIMIT_CPU, nullptr, &bound) == 0) {
    bound.rlim_cur = std::min(rlim_t(used.tv_sec) + rlim_t(limits_.cpu_seconds), bound.rlim_max);
    prlimit(child_, RLIMIT_CPU, &bound, nullptr);
  }
  return send(requests_, request.data(), request.size(), MSG_NOSIGNAL) == ssize_t(request.size());
}

std::string ChildProcess::end() {
  CHECK(child_ >= 0);
  close(requests_);
  close(replies_);
  return wait_for(std::exchange(child_, -1), limits_);
}

void forbid_opening_files() {
  if (!kSanitized) limit(RLIMIT_NOFILE, 0);
}

}  // namespace moesim
