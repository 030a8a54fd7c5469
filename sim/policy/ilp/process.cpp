#include "sim/policy/ilp/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

#include "sim/config/error.h"
#include "sim/core/interrupt.h"

extern char** environ;

namespace moesim {
namespace {

// The shell as leader of a new process group, so that its children can be killed with it; it takes signals as if it had
// been started from a terminal.
int start(const std::string& command, const std::filesystem::path& output, pid_t& child) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t plain;
  sigemptyset(&plain);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) sigaddset(&plain, signal);
  posix_spawnattr_setsigdefault(&attributes, &plain);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  std::string shell = "sh";
  std::string option = "-c";
  std::string text = command;
  char* const arguments[] = {shell.data(), option.data(), text.data(), nullptr};
  const int error = posix_spawn(&child, "/bin/sh", &files, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

std::string end_text(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return fmt::format("ended with status {}", WEXITSTATUS(status));
  return "";
}

// It is left to be waited for.
bool has_ended(pid_t child) {
  siginfo_t information{};
  if (waitid(P_PID, id_t(child), &information, WEXITED | WNOHANG | WNOWAIT) != 0) return errno != EINTR;
  return information.si_pid == child;
}

}  // namespace

ProcessEnd run_process(const std::string& command, const std::filesystem::path& output, double wall_seconds) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  pid_t child = 0;
  if (const int error = start(command, output, child); error != 0)
    return {fmt::format("could not be started: {}", std::strerror(error))};
  ProcessEnd end;
  auto pause = std::chrono::microseconds(200);
  while (!has_ended(child) && !end.wall_limited && !end.interrupted) {
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::microseconds(20000));
    end.interrupted = interrupted;
    end.wall_limited = std::chrono::duration<double>(Clock::now() - begin).count() > wall_seconds;
  }
  kill(-child, SIGKILL);  // before the child is waited for, so that its number is still its own
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  end.text = end.interrupted    ? "was interrupted"
             : end.wall_limited ? fmt::format("was killed after {} s", wall_seconds)
                                : end_text(status);
  return end;
}

bool has_program(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (access((std::filesystem::path(folder) / name).c_str(), X_OK) == 0) return true;
  return false;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "moesim-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw ConfigError(name, fmt::format("cannot be made: {}", std::strerror(errno)));
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // a file that cannot be removed harms no result
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace moesim
