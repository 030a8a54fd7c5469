// The command line of moesim-bench. Knows no CUDA, so that it is tested where there is none.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace moesim::bench {

// What is wrong with the arguments; main prints it and exits with 2.
struct ArgumentError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What the checks of the kernels run on; `small` is for compute-sanitizer, under which they take very long.
enum class Checks { full, small };

struct Options {
  std::string out = "moesim-bench.json";
  std::vector<std::string> suites;  // empty: all
  int gpus = 0;                     // 0: all there are
  double budget_s = 220;
  Checks checks = Checks::full;
  bool checks_only = false;
  uint64_t seed = 1;
  std::string command;  // as it was typed, for the file

  bool help = false;
  bool list = false;
};

// `known` are the names of the suites. Throws ArgumentError.
Options parse_options(const std::vector<std::string>& arguments, const std::vector<std::string>& known);

std::string help_text();

}  // namespace moesim::bench
