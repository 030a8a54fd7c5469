#include <fmt/core.h>

#include "sim/cli/command.h"
#include "sim/cli/help.h"

namespace moesim {
namespace {

po::options_description no_options() { return po::options_description("options"); }

int run_completion(const po::variables_map&, const std::vector<std::string>& positional) {
  fmt::print("{}", completion_script(positional[0]));
  return kOk;
}

int run_man(const po::variables_map&, const std::vector<std::string>&) {
  fmt::print("{}", man_page());
  return kOk;
}

}  // namespace

const Command kCompletionCommand = {"completion",
                                    "bash|zsh|fish",
                                    "Print a script that completes moesim's commands in a shell",
                                    "  source <(moesim completion bash)\n  moesim completion fish | source\n",
                                    no_options,
                                    1,
                                    1,
                                    run_completion};

const Command kManCommand = {"man", "", "Print the man page", "  moesim man | man -l -\n", no_options, 0, 0, run_man};

}  // namespace moesim
