#include "validation/bench/gpu_watch.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "validation/bench/machine.h"

extern char** environ;

namespace moesim::bench {
namespace {

pid_t spawn(std::vector<std::string> arguments, int out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = -1;
  const int error = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? child : -1;
}

}  // namespace

GpuWatch::GpuWatch(const std::string& pci_address, int period_ms) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return;
  child_ = spawn({"nvidia-smi", "--id=" + pci_address, "--query-gpu=clocks.sm,power.draw,temperature.gpu",
                  "--format=csv,noheader,nounits", "-lms", std::to_string(period_ms)},
                 ends[1]);
  close(ends[1]);
  pipe_ = ends[0];
  fcntl(pipe_, F_SETFL, O_NONBLOCK);
}

GpuWatch::~GpuWatch() {
  if (child_ > 0) {
    kill(child_, SIGTERM);
    waitpid(child_, nullptr, 0);
  }
  if (pipe_ >= 0) close(pipe_);
}

double GpuWatch::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

void GpuWatch::poll() {
  if (pipe_ < 0) return;
  std::array<char, 4096> block{};
  for (ssize_t got = 0; (got = read(pipe_, block.data(), block.size())) > 0;)
    for (ssize_t i = 0; i < got; ++i) {
      if (block[size_t(i)] != '\n') {
        line_ += block[size_t(i)];
        continue;
      }
      const auto values = values_of_line(line_, {"sm_mhz", "watts", "celsius"});
      line_.clear();
      if (values.size() == 3 && values["sm_mhz"].is_number() && values["watts"].is_number())
        readings_.push_back({seconds(), values["sm_mhz"], values["watts"], values.value("celsius", 0.0)});
    }
}

}  // namespace moesim::bench
