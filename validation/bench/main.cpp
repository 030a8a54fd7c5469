// moesim-bench: see --help.
#include <fmt/core.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "validation/bench/gpus.h"
#include "validation/bench/library_checks.h"
#include "validation/bench/machine.h"
#include "validation/bench/mpi_ranks.h"

namespace moesim::bench {
namespace {

constexpr int exit_failed = 1;
constexpr int exit_arguments = 2;
constexpr int exit_stopped = 130;

void on_signal(int) { request_stop(); }

// The second signal ends the program, should it hang.
void stop_on_signals() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = int(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

std::vector<Suite> chosen(const Options& options) {
  std::vector<Suite> all;
  for (const Suite& suite : suites()) {
    const auto& names = options.suites;
    if (names.empty() || std::find(names.begin(), names.end(), suite.name) != names.end()) all.push_back(suite);
  }
  return all;
}

bool needs_gpu(const Options& options, const std::vector<Suite>& all) {
  return options.checks_only ||
         std::any_of(all.begin(), all.end(), [](const Suite& suite) { return suite.needs == Needs::gpu; });
}

void describe(Bench& bench) {
  nlohmann::ordered_json header{{"format", "moesim-bench"}, {"format_version", 1}, {"command", bench.options.command}};
  header["device"] = bench.gpus.empty() ? "none" : bench.gpus.front().properties.name;
  header["world"] = bench.gpus.empty() ? 0 : bench.gpus.front().ranks;
  header["seed"] = bench.options.seed;
  header["budget_s"] = bench.options.budget_s;
  header["machine"] = machine_of(bench);
  bench.recorder.describe(std::move(header));
}

void fail(Bench& bench, const std::string& suite, const char* what) {
  fmt::print(stderr, "\nmoesim-bench: {} failed: {}\n", suite, what);
  bench.recorder.add_failure(suite, what);
}

void check(Bench& bench) {
  try {
    on_first_gpu(bench, [&](Gpu& gpu) { check_all(bench, gpu); });
  } catch (const std::exception& error) {
    fail(bench, "checks", error.what());
  }
}

void run_suites(Bench& bench, const std::vector<Suite>& all) {
  double weight_after = 0;
  for (const Suite& suite : all) weight_after += suite.weight;
  for (const Suite& suite : all) {
    weight_after -= suite.weight;
    bench.recorder.begin_suite(suite.name, suite.weight, weight_after);
    try {
      if (!bench.recorder.stopped()) suite.run(bench);
    } catch (const std::exception& error) {
      fail(bench, suite.name, error.what());
    }
    bench.recorder.end_suite();
  }
}

int measure(const Options& options) {
  const std::vector<Suite> all = chosen(options);
  std::string why;
  const int present = gpus_present(why);
  if (present == 0 && needs_gpu(options, all)) {
    fmt::print(stderr, "moesim-bench: no GPU: {}. `--suites cpu` measures the CPU alone.\n", why);
    return exit_arguments;
  }
  if (options.gpus > present)
    throw ArgumentError(fmt::format("--gpus {}, but there {} {}", options.gpus, present == 1 ? "is" : "are", present));
  const bool one_a_process = processes().ranks > 1;
  Bench bench{options, {}, Recorder(processes().rank == 0 ? options.out : "", options.budget_s)};
  const int gpus = one_a_process ? std::min(present, 1) : options.gpus > 0 ? options.gpus : present;
  const OpenGpus open(bench, gpus);
  describe(bench);
  if (!bench.gpus.empty()) check(bench);
  if (!options.checks_only) run_suites(bench, all);
  bench.recorder.finish();
  if (processes().rank == 0)
    fmt::print(stderr, "{} after {:.0f} s{}\n", options.out, bench.recorder.seconds(),
               bench.recorder.stopped()  ? ", stopped"
               : bench.recorder.failed() ? "; not all went well"
                                         : "");
  return bench.recorder.stopped() ? exit_stopped : bench.recorder.failed() ? exit_failed : 0;
}

void print_suites() {
  for (const Suite& suite : suites()) fmt::print("{:<12} {}\n", suite.name, suite.help);
}

int run(const std::vector<std::string>& arguments) {
  std::vector<std::string> names;
  for (const Suite& suite : suites()) names.emplace_back(suite.name);
  const Options options = parse_options(arguments, names);
  if (options.help) {
    fmt::print("{}", help_text());
    return 0;
  }
  if (options.list) {
    print_suites();
    return 0;
  }
  stop_on_signals();
  return measure(options);
}

}  // namespace
}  // namespace moesim::bench

int main(int argc, char** argv) {
  using namespace moesim::bench;
  try {
    return run({argv + 1, argv + argc});
  } catch (const ArgumentError& error) {
    fmt::print(stderr, "moesim-bench: {}\nmoesim-bench --help explains the arguments.\n", error.what());
    return exit_arguments;
  } catch (const std::exception& error) {
    fmt::print(stderr, "moesim-bench: {}\n", error.what());
    return exit_failed;
  }
}
