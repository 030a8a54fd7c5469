#include <fmt/core.h>

#include "sim/cli/command.h"
#include "sim/run/cluster.h"
#include "topologies/graphviz.h"

namespace moesim {
namespace {

po::options_description options() {
  po::options_description options("options");
  options.add_options()("set", po::value<std::vector<std::string>>(),
                        "/pointer=value: change a setting of the file; may be repeated")(
      "seed", po::value<std::string>(), "seed of all random choices");
  return options;
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  TraceStore traces;
  fmt::print("{}", graphviz(build_cluster(load_scenario(positional[0], settings_of(given), traces)).topology));
  return kOk;
}

}  // namespace

const Command kTopologyCommand = {
    "topology",
    "SCENARIO",
    "Print the cluster of a scenario as a Graphviz document",
    "  moesim topology docs/scenarios/quickstart-prefill.json | dot -Tsvg > cluster.svg\n",
    options,
    1,
    1,
    run};

}  // namespace moesim
