#include <fmt/core.h>

#include "sim/cli/command.h"
#include "sim/config/json_text.h"
#include "sim/run/runner.h"

namespace moesim {
namespace {

po::options_description options() {
  po::options_description options("options");
  options.add_options()("set", po::value<std::vector<std::string>>(),
                        "/pointer=value: change a setting of the file; may be repeated")(
      "seed", po::value<std::string>(), "seed of all random choices")(
      "resolved", "print the scenario with every default filled in");
  return options;
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  TraceStore traces;
  const LoadedScenario loaded = load_scenario(positional[0], settings_of(given), traces);
  check_scenario(loaded);
  if (given.count("resolved") > 0)
    fmt::print("{}", json_text(loaded.scenario));
  else
    fmt::print("{}: no faults\n", positional[0]);
  return kOk;
}

}  // namespace

const Command kCheckCommand = {"check",
                               "SCENARIO",
                               "Check a scenario without running it, its trace and memory included",
                               "  moesim check docs/scenarios/quickstart-prefill.json\n"
                               "  moesim check docs/scenarios/quickstart-prefill.json --resolved > full.json\n",
                               options,
                               1,
                               1,
                               run};

}  // namespace moesim
